// The command line. CLI11 is included here and in *_options.cc only: it takes four seconds to compile.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "conf/load.h"
#include "conf/schema.h"
#include "main/cache_options.h"
#include "main/get_options.h"
#include "main/serve.h"

namespace {

using tributary::conf::Assignment;
using tributary::conf::Loaded;
using tributary::conf::Sources;

constexpr int kUsage = 2;  // exit status of a wrong command line or configuration

// Options that stand for a key; --set does for every other.
struct KeyOption {
  const char *option, *key, *value, *help;
};
constexpr KeyOption kKeyOptions[] = {
    {"--listen", "listen.address", "ADDR",
     "Where clients connect: 127.0.0.1:3128, [::1]:3128, :3128; may be repeated"},
    {"--admin", "admin.address", "ADDR", "Where metrics and health are served, or off"},
    {"--cache-dir", "cache.directory", "DIR", "Where the cache is stored"},
    {"--cache-size", "cache.size", "SIZE", "Disk that the cache may use: 10GiB"},
    {"--workers", "server.workers", "N", "Worker threads; 0: one per core"},
    {"--log-level", "log.level", "LEVEL", "trace, debug, info, warn, error, fatal or off"},
};

// Commands of the interface that are not in this version: refused by name, so that nobody takes it
// for a typing error.
constexpr const char* kLater[][2] = {
    {"env", "Print what points each tool at the proxy"},
    {"ca", "The local certificate authority"},
    {"top", "A live view of a running proxy"},
};

void add_source_options(CLI::App& command, Sources& sources) {
  command.add_option("--config", sources.file, "Configuration file (TOML)")->type_name("FILE");
  // The command line is kept in its order: of two options for one key the last wins.
  const auto assign = [&sources](const char* option, const char* key) {
    return [&sources, option, key](const std::vector<std::string>& values) {
      for (const std::string& value : values) sources.command_line.push_back({key, value, option});
      return true;
    };
  };
  for (const KeyOption& row : kKeyOptions) {
    command.add_option(row.option, assign(row.option, row.key), row.help)
        ->type_name(row.value)
        ->expected(1)
        ->trigger_on_parse()
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  command
      .add_option(
          "--set",
          [&sources](const std::vector<std::string>& values) {
            for (const std::string& text : values) {
              const size_t equals = text.find('=');
              if (equals == std::string::npos)
                throw CLI::ValidationError("--set", "takes KEY=VALUE, not " + text);
              sources.command_line.push_back(
                  {text.substr(0, equals), text.substr(equals + 1), "--set"});
            }
            return true;
          },
          "Any key of the configuration: --set accelerate.min_size=16MiB")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->trigger_on_parse()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

// Loads, and prints what is wrong.
bool load(Sources& sources, Loaded& loaded) {
  sources.environment = tributary::conf::environment_of(environ);
  loaded = tributary::conf::load(sources);
  for (const std::string& problem : loaded.problems) std::fprintf(stderr, "%s\n", problem.c_str());
  return loaded.ok();
}

int run_serve(Sources& sources) {
  Loaded loaded;
  if (!load(sources, loaded)) return kUsage;
  return tributary::serve(loaded.config, TRIBUTARY_VERSION);
}

int run_check(Sources& sources) {
  Loaded loaded;
  if (!load(sources, loaded)) return kUsage;
  std::puts("the configuration is right");
  return 0;
}

int run_show(Sources& sources) {
  Loaded loaded;
  if (!load(sources, loaded)) return kUsage;
  std::fputs(tributary::conf::to_toml(loaded.config).c_str(), stdout);
  return 0;
}

int run_schema(bool toml) {
  std::fputs((toml ? tributary::conf::documented_toml() : tributary::conf::json_schema()).c_str(),
             stdout);
  return 0;
}

int run_version() {
  std::puts("tributary " TRIBUTARY_VERSION);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("tributary: a proxy that makes downloads fast", "tributary");
  app.set_version_flag("--version", "tributary " TRIBUTARY_VERSION);
  app.require_subcommand(1);
  Sources sources;
  bool schema_as_toml = false;
  std::function<int()> chosen;

  CLI::App* serve = app.add_subcommand("serve", "Run the proxy");
  add_source_options(*serve, sources);
  serve->callback([&] { chosen = [&] { return run_serve(sources); }; });

  CLI::App* config = app.add_subcommand("config", "Look at the configuration");
  config->require_subcommand(1);
  CLI::App* check =
      config->add_subcommand("check", "Say what is wrong with it; exit status 2 if something is");
  add_source_options(*check, sources);
  check->callback([&] { chosen = [&] { return run_check(sources); }; });
  CLI::App* show = config->add_subcommand("show", "Print what is in force, as TOML");
  add_source_options(*show, sources);
  show->callback([&] { chosen = [&] { return run_show(sources); }; });
  CLI::App* schema =
      config->add_subcommand("schema", "Print what there is to configure, as JSON Schema");
  schema->add_flag("--toml", schema_as_toml, "As a documented configuration file");
  schema->callback([&] { chosen = [&] { return run_schema(schema_as_toml); }; });

  tributary::add_cache_command(
      app, sources, [&](CLI::App& command) { add_source_options(command, sources); },
      [&](Loaded& loaded) { return load(sources, loaded); }, chosen);

  tributary::add_get_command(app, chosen);

  app.add_subcommand("version", "Print the version")->callback([&] { chosen = run_version; });

  for (const auto& [name, help] : kLater) {
    CLI::App* later = app.add_subcommand(name, std::string(help) + " (not in this version)");
    later->prefix_command();
    later->callback([&chosen, name = std::string(name)] {
      chosen = [name] {
        std::fprintf(stderr, "tributary %s: not in this version (%s)\n", name.c_str(),
                     TRIBUTARY_VERSION);
        return kUsage;
      };
    });
  }

  const auto is_first_word = [&](CLI::App* command) { return command->get_name() == argv[1]; };
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(is_first_word).empty()) {
    std::fprintf(stderr, "tributary: there is no command \"%s\"; `tributary --help` lists them\n",
                 argv[1]);
    return kUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;  // --help and --version come this way too, with 0
  }
  return chosen();
}
