#include "main/cache_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "conf/value.h"
#include "http/text.h"
#include "main/cache_command.h"

namespace tributary {
namespace {

constexpr int kUsage = 2;

// "Name: value" into the fields of the request that is meant.
void add_header_option(CLI::App& command, CacheOptions& options) {
  command
      .add_option(
          "-H,--header",
          [&options](const std::vector<std::string>& values) {
            for (const std::string& text : values) {
              const size_t colon = text.find(':');
              const std::string name = text.substr(0, colon);
              const std::string_view value = colon == std::string::npos ? "" : http::trim_ows(std::string_view(text).substr(colon + 1));
              if (colon == std::string::npos || !http::is_token(name) || !http::is_field_value(value)) {
                throw CLI::ValidationError("--header", "takes NAME:VALUE, not " + text);
              }
              options.command.fields.emplace_back(name, value);
            }
            return true;
          },
          "A field of the request that is meant, for responses that vary; may be repeated")
      ->type_name("NAME:VALUE")
      ->expected(1)
      ->trigger_on_parse()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

bool names_directory(const conf::Sources& sources) {
  return std::any_of(sources.command_line.begin(), sources.command_line.end(),
                     [](const conf::Assignment& assignment) { return assignment.key == "cache.directory"; });
}

}  // namespace

void add_cache_command(CLI::App& app, conf::Sources& sources, const std::function<void(CLI::App&)>& add_sources,
                       const std::function<bool(conf::Loaded&)>& load, std::function<int()>& chosen) {
  const auto options = std::make_shared<CacheOptions>();
  CLI::App* cache = app.add_subcommand("cache", "Look into the cache and change it");
  cache->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, CacheAction action) {
    CLI::App* command = cache->add_subcommand(name, help);
    add_sources(*command);
    command->add_flag("--json", options->json, "Print JSON: one document, or one a line");
    command->callback([options, action, &sources, load, &chosen] {
      chosen = [options, action, &sources, load] {
        conf::Loaded loaded;
        if (!load(loaded)) return kUsage;
        options->action = action;
        options->directory_given = names_directory(sources);
        return run_cache(*options, loaded.config);
      };
    });
    return command;
  };

  add("stat", "How much is stored", CacheAction::Stat);

  CLI::App* list = add("ls", "List what is stored: status, size, time to live, URL", CacheAction::List);
  list->add_option("PREFIX", options->command.text, "Only URLs that begin so");
  list->add_option("--limit", options->limit, "So many at most")->type_name("N");

  CLI::App* show = add("show", "Explain why a URL is stored or not, and what a request would do now", CacheAction::Show);
  show->add_option("URL", options->command.text)->required();
  add_header_option(*show, *options);

  CLI::App* purge = add("purge", "Remove from the cache", CacheAction::Purge);
  CLI::Option_group* what = purge->add_option_group("what");
  const auto by_text = [options](admin::CacheCommand::By by) {
    return [options, by](const std::string& text) {
      options->command.by = by;
      options->command.text = text;
    };
  };
  using By = admin::CacheCommand::By;
  what->add_option_function<std::string>("URL", by_text(By::Url), "Every variant of this URL");
  what->add_option_function<std::string>("--prefix", by_text(By::Prefix), "Every URL that begins so")->type_name("URL");
  what->add_option_function<std::string>("--tag", by_text(By::Tag), "What its Cache-Tag, Surrogate-Key or xkey names so")->type_name("TAG");
  what->add_flag_callback("--all", [options] { options->command.by = By::All; }, "Everything");
  what->require_option(1);

  CLI::App* verify = add("verify", "Read everything and hold it against its checksums; drop what is damaged", CacheAction::Verify);
  verify
      ->add_option_function<std::string>(
          "--limit-rate",
          [options](const std::string& text) {
            const auto rate = conf::parse_size(text);
            if (!rate) throw CLI::ValidationError("--limit-rate", "takes a size a second such as 50MiB, not " + text);
            options->rate = *rate;
          },
          "Bytes a second: 50MiB")
      ->type_name("SIZE");

  CLI::App* warm = add("warm", "Fetch URLs into the cache through the running proxy", CacheAction::Warm);
  warm->add_option("URL", options->urls);
  warm->add_option("-i,--input", options->input, "A file with one URL a line; -: standard input")->type_name("FILE");
  warm->add_option("-j,--jobs", options->jobs, "At a time (8)")->type_name("N")->check(CLI::Range(1, 32));
  add_header_option(*warm, *options);

  for (const char* name : {"export", "import"}) {
    CLI::App* later = cache->add_subcommand(name, "Not in this version");
    later->prefix_command();
    later->callback([&chosen, name] {
      chosen = [name] {
        std::fprintf(stderr, "tributary cache %s: not in this version (%s)\n", name, TRIBUTARY_VERSION);
        return kUsage;
      };
    });
  }
}

}  // namespace tributary
