// What `--help` shows: each command's own examples, which are typed here as they stand.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "tests/support/project.h"

using ralph::tests::Project;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

std::string help_of(const Project& project, std::vector<std::string> command) {
    command.emplace_back("--help");
    const auto end = project.ralph(command);
    CHECK(end.status == 0);
    return end.output;
}

// "  name      what it does", in the list of commands.
std::vector<std::string> commands_in(const std::string& help) {
    std::vector<std::string> names;
    bool is_list = false;
    for (const std::string& line : lines_of(help)) {
        is_list = line == "Subcommands:" || (is_list && !line.empty());
        if (is_list && line.starts_with("  ") && line.size() > 2 && line[2] != ' ') {
            names.push_back(line.substr(2, line.find(' ', 2) - 2));
        }
    }
    return names;
}

// "  ralph gate      judge the commit": what is typed ends where two spaces do not stand within quotes.
std::vector<std::string> examples_in(const std::string& help) {
    std::vector<std::string> examples;
    for (const std::string& line : lines_of(help)) {
        const std::size_t begin = line.find("ralph ");
        if (line.starts_with("  ralph ") || line.starts_with("  sudo ralph ")) {
            examples.push_back(line.substr(begin, line.find("  ", begin) - begin));
        }
    }
    return examples;
}

// Which would not end, or are no matter of this repository.
bool is_for_another_test(const std::string& example) {
    const auto has = [&example](const char* part) { return example.find(part) != std::string::npos; };
    return has(" demo") || has(" service ") || has(" -f") || has(" run --parallel") || has("/home/builder");
}

std::vector<std::string> all_examples(const Project& project) {
    std::set<std::string> examples;
    std::vector<std::vector<std::string>> commands{{}};
    for (std::size_t i = 0; i < commands.size(); ++i) {
        const std::vector<std::string> command = commands[i];
        const std::string help = help_of(project, command);
        for (const std::string& name : commands_in(help)) {
            commands.push_back(command);
            commands.back().push_back(name);
        }
        const auto found = examples_in(help);
        examples.insert(found.begin(), found.end());
        std::string named = "ralph";
        for (const std::string& word : command) {
            named += " " + word;
        }
        CAPTURE(named);
        CHECK(std::any_of(found.begin(), found.end(),
                          [&named](const std::string& example) { return example.starts_with(named); }));
    }
    CHECK(commands.size() > 60);
    // Before others add tasks to wait for.
    std::vector<std::string> in_order(examples.begin(), examples.end());
    std::stable_partition(in_order.begin(), in_order.end(),
                          [](const std::string& example) { return example.starts_with("ralph wait"); });
    return in_order;
}

}  // namespace

TEST_CASE("help: every example is one that can be typed" * doctest::test_suite("as-built")) {
    Project project;
    project.add_to_environment({"PATH=" RALPH_BINARY_DIR ":/usr/local/bin:/usr/bin:/bin", "SHELL=/bin/true"});
    project.add("fails", "exit 3");
    project.commit_and_push();
    REQUIRE(project.ralph({"run", "--parallel", "1"}).status == 3);
    Project::write(project.root() + "/titles.txt", "One\nTwo\n");
    Project::write(project.outside("home") + "/.local/share/bash-completion/completions/x", "");
    const std::vector<std::string> examples = all_examples(project);
    CHECK(examples.size() > 60);
    for (const std::string& example : examples) {
        if (is_for_another_test(example)) {
            continue;
        }
        CAPTURE(example);
        ralph::daemon::ProgramRequest request;
        request.program = "sh";
        request.arguments = {"-c", example};
        request.directory = project.root();
        request.environment = project.environment();
        request.timeout = std::chrono::seconds(60);
        const auto end = ralph::daemon::run_program(request);
        REQUIRE(end.has_value());
        CHECK_MESSAGE(end->signal == 0, end->errors);
        CHECK_MESSAGE(end->status != 2, end->errors);
        CHECK_MESSAGE(end->status < 126, end->errors);
        CHECK_MESSAGE(!(end->output.empty() && end->errors.empty() && end->status != 0), "it says nothing");
    }
}
