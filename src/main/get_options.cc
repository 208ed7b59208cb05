#include "main/get_options.h"

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "conf/value.h"
#include "http/text.h"
#include "main/get_command.h"

namespace tributary {
namespace {

void add_header(fetch::Settings& settings, const std::string& text) {
  const size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  const std::string_view value = colon == std::string::npos ? "" : http::trim_ows(std::string_view(text).substr(colon + 1));
  if (colon == std::string::npos || !http::is_token(name) || !http::is_field_value(value)) {
    throw CLI::ValidationError("--header", "takes NAME:VALUE, not " + text);
  }
  settings.fields.emplace_back(name, value);
}

// A size, or as wget and aria2 write it: 500k, 2M, 1G (powers of 1024).
std::optional<uint64_t> parse_rate(std::string text) {
  if (!text.empty() && std::string_view("kKmMgG").find(text.back()) != std::string_view::npos) {
    text.back() = text.back() == 'k' ? 'K' : text.back() == 'm' ? 'M' : text.back() == 'g' ? 'G' : text.back();
    text += "iB";
  }
  return conf::parse_size(text);
}

}  // namespace

void add_get_command(CLI::App& app, std::function<int()>& chosen) {
  const auto options = std::make_shared<GetOptions>();
  fetch::Settings& settings = options->settings;
  CLI::App* get = app.add_subcommand("get", "Download files, each over as many connections as help");
  get->add_option("URL", options->urls, "http or https; without either, http");
  get->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  get->add_option("-o,--output", options->output, "The file to write; for one URL")->type_name("FILE");
  get->add_option("--mirror-of", options->mirrors, "Another source of the same file; may be repeated; for one URL")
      ->type_name("URL")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  get->add_option("--metalink", options->metalinks, "Get the files that a Metalink document lists, from its sources; may be repeated")
      ->type_name("FILE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  get->add_option("-P,--directory-prefix", settings.directory, "Where files go (here); it must be there")->type_name("DIR");
  get->add_option("-i,--input-file", options->input, "More URLs, one a line; -: standard input")->type_name("FILE");
  get->add_flag("-c,--continue", settings.resume, "Finish FILE.part of an interrupted download; leave a file that is there");
  get->add_option("-x,--connections", options->connections, "At most so many for one download (16); 1: never split")
      ->type_name("N")
      ->check(CLI::Range(1, 64));
  get->add_option("-j,--jobs", settings.downloads, "Downloads at a time (5)")->type_name("N")->check(CLI::Range(1, 1000));
  get->add_option("-H,--header", "A field for the requests, NAME:VALUE; may be repeated")
      ->type_name("NAME:VALUE")
      ->expected(1)
      ->trigger_on_parse()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->each([&settings](const std::string& text) { add_header(settings, text); });
  get->add_option_function<std::string>(
         "-T,--timeout",
         [options](const std::string& text) {
           const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
           const auto time = conf::parse_duration(is_number ? text + "s" : text);
           if (!time) throw CLI::ValidationError("--timeout", "takes a time such as 30s or 2m, not " + text);
           options->timeout = *time;
         },
         "Of each wait for the network (60s); 0: none")
      ->type_name("TIME");
  get->add_option("--retries", settings.retry.retries, "Tries after the first that bring nothing new (5)")
      ->type_name("N")
      ->check(CLI::Range(0, 1000000));
  get->add_option("--max-redirect", settings.max_redirects, "Redirects that are followed (20)")
      ->type_name("N")
      ->check(CLI::Range(0, 1000));
  get->add_flag("--compressed", settings.compressed, "Ask for gzip, br or zstd, and unpack what comes");
  get->add_option_function<std::string>(
         "--checksum",
         [&settings](const std::string& text) {
           std::string why;
           const auto digest = http::parse_checksum(text, why);
           if (!digest) throw CLI::ValidationError("--checksum", why);
           settings.digests.push_back(*digest);
         },
         "What the file must be: sha-256=HEX; also md5, sha-1, sha-384, sha-512; for one URL")
      ->type_name("ALGO=HEX");
  const auto add_rate = [get](const char* name, uint64_t& rate, const char* help) {
    get->add_option_function<std::string>(
           name,
           [name, &rate](const std::string& text) {
             const auto parsed = parse_rate(text);
             if (!parsed) throw CLI::ValidationError(name, "takes bytes a second such as 500KiB, 2MiB or 2M, not " + text);
             rate = *parsed;
           },
           help)
        ->type_name("RATE");
  };
  add_rate("--limit-rate", settings.rate, "Bytes a second of all downloads together: 2MiB; 0: no limit");
  add_rate("--limit-rate-each", settings.rate_each, "Bytes a second of every download");
  CLI::Option* user = get->add_option("--user", options->user, "The user, where a server asks for one (Basic, Digest)")->type_name("NAME");
  get->add_option("--password-file", options->password_file, "Its first line is the user's password; -: standard input")
      ->type_name("FILE")
      ->needs(user);
  get->add_option("--netrc-file", options->netrc_file, "Users and passwords by host")->type_name("FILE");
  get->add_option("--cookie-jar", options->cookie_file, "Cookies (Netscape's format): read at the start if it is there, written at the end")
      ->type_name("FILE");
  get->add_option("--hsts-file", options->hsts_file, "Hosts that want https alone (wget's format): read and written as the cookies")
      ->type_name("FILE");
  get->add_option("--proxy", options->proxy,
                  "Go through [http|https|socks5://][USER:PASSWORD@]HOST[:PORT], not what http_proxy, https_proxy and all_proxy say; \"\": no proxy")
      ->type_name("URL");
  get->add_option("--no-proxy", options->no_proxy, "Hosts, domains and networks to reach directly, not those of no_proxy; *: all")
      ->type_name("LIST");
  get->add_option("--ca-file", options->ca_file, "Trust these certificate authorities (PEM) instead of the system's")
      ->type_name("FILE");
  get->add_flag("--insecure", options->insecure, "Do not verify certificates");
  CLI::Option* quiet = get->add_flag("-q,--quiet", options->quiet, "Nothing but errors");
  get->add_flag("-v,--verbose", options->verbose, "Answers and redirects too")->excludes(quiet);
  static const std::map<std::string, ProgressStyle> kStyles = {
      {"none", ProgressStyle::None}, {"plain", ProgressStyle::Plain}, {"json", ProgressStyle::Json}, {"bar", ProgressStyle::Bar}};
  get->add_option("--progress", options->progress, "bar (on a terminal), plain, json (one object a line on standard output) or none")
      ->type_name("STYLE")
      ->transform(CLI::CheckedTransformer(kStyles));
  get->callback([options, &chosen] { chosen = [options] { return run_get(std::move(*options), TRIBUTARY_VERSION); }; });
}

}  // namespace tributary
