// What the data path pays the http layer per request: reading a head, making the key, writing a
// head. Wanted: a 100-byte proxy GET below 0.5 µs with a reused parser.
#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "http/cache_control.h"
#include "http/date.h"
#include "http/h1.h"
#include "http/url.h"

namespace {

using namespace tributary;

constexpr std::string_view kCurl =
    "GET http://127.0.0.1:8080/1k.bin HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
    "User-Agent: wrk\r\nAccept: */*\r\n\r\n";

constexpr std::string_view kBrowser =
    "GET http://www.example.com/assets/app.js?v=12345 HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/119.0 Safari/537.36\r\n"
    "Accept: "
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\nAccept-Encoding: gzip, deflate\r\n"
    "Proxy-Connection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n"
    "Referer: http://www.example.com/index.html\r\nCache-Control: max-age=0\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n";

constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 08:00:00 GMT\r\n"
    "Content-Type: application/octet-stream\r\nContent-Length: 1024\r\n"
    "Last-Modified: Fri, 20 Nov 2026 08:00:00 GMT\r\nConnection: keep-alive\r\n"
    "ETag: \"655b3c80-400\"\r\nCache-Control: public, max-age=3600\r\nAccept-Ranges: bytes\r\n\r\n";

void read_head(benchmark::State& state, http::H1Parser::Kind kind, std::string_view bytes) {
  http::H1Parser parser(kind);
  for (auto _ : state) {
    std::string_view input = bytes;
    benchmark::DoNotOptimize(parser.next(input));
    parser.reset();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) *
                          static_cast<int64_t>(bytes.size()));
}

void BM_RequestSmall(benchmark::State& state) {
  read_head(state, http::H1Parser::Kind::Request, kCurl);
}
void BM_RequestBrowser(benchmark::State& state) {
  read_head(state, http::H1Parser::Kind::Request, kBrowser);
}
void BM_Response(benchmark::State& state) {
  read_head(state, http::H1Parser::Kind::Response, kResponse);
}

void BM_RequestSmallFreshParser(benchmark::State& state) {
  for (auto _ : state) {
    http::H1Parser parser(http::H1Parser::Kind::Request);
    std::string_view input = kCurl;
    benchmark::DoNotOptimize(parser.next(input));
  }
}

void BM_TargetToKey(benchmark::State& state) {
  std::string key;
  for (auto _ : state) {
    key.clear();
    const auto view = http::parse_absolute("http://127.0.0.1:8080/assets/app.js?v=12345");
    http::append_key(*view, key);
    benchmark::DoNotOptimize(key);
  }
}

void BM_ResponseHeadWrite(benchmark::State& state) {
  http::H1Parser parser(http::H1Parser::Kind::Response);
  std::string_view input = kResponse;
  parser.next(input);
  std::string out;
  for (auto _ : state) {
    out.clear();
    http::append_head(parser.response(), out);
    benchmark::DoNotOptimize(out);
  }
}

void BM_FieldNameLookUp(benchmark::State& state) {
  const std::string_view names[] = {"Host",      "user-agent",       "Accept",
                                    "X-Unknown", "Proxy-Connection", "cache-control"};
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(http::field_name(names[i++ % 6]));
}

void BM_CacheControl(benchmark::State& state) {
  for (auto _ : state) {
    http::CacheControl cache;
    cache.merge("public, max-age=3600, stale-while-revalidate=60");
    benchmark::DoNotOptimize(cache);
  }
}

void BM_DateParse(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(http::parse_date("Sat, 21 Nov 2026 08:00:00 GMT", 0));
}

BENCHMARK(BM_RequestSmall);
BENCHMARK(BM_RequestSmallFreshParser);
BENCHMARK(BM_RequestBrowser);
BENCHMARK(BM_Response);
BENCHMARK(BM_TargetToKey);
BENCHMARK(BM_ResponseHeadWrite);
BENCHMARK(BM_FieldNameLookUp);
BENCHMARK(BM_CacheControl);
BENCHMARK(BM_DateParse);

}  // namespace
