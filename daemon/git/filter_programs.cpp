#include "daemon/git/filter_programs.h"

#include <set>
#include <string_view>

#include "core/queue/task.h"
#include "daemon/git/git.h"
#include "daemon/os/program.h"

namespace ralph::daemon {
namespace {

using core::Result;

// The program of a shell command; empty where it takes a shell to know it.
std::string first_word(std::string_view command) {
    command = core::trimmed(command);
    if (command.empty()) {
        return {};
    }
    const char quote = command.front() == '\'' || command.front() == '"' ? command.front() : '\0';
    if (quote != '\0') {
        command.remove_prefix(1);
    }
    const std::string word(
        command.substr(0, quote != '\0' ? command.find(quote) : command.find_first_of(" \t")));
    constexpr std::string_view special = "$`\\;|&<>(){}=*?[]~!#'\"";
    return word.find_first_of(special) == std::string::npos && word.rfind('-', 0) != 0 ? word : std::string{};
}

Result<bool> is_found(const std::string& program, const std::string& root) {
    ProgramRequest request;
    request.program = "/bin/sh";
    request.arguments = {"-c", "command -v \"$1\"", "sh", program};
    request.directory = root;
    request.environment = environment_without_git();
    auto end = run_program(request);
    return end ? Result<bool>{end->succeeded()} : Result<bool>{end.error()};
}

// Names that may stand in a pathspec as they are; git allows no others there.
bool is_plain_name(std::string_view name) {
    return !name.empty() && name.find_first_not_of(
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-_.") == std::string_view::npos;
}

Result<bool> is_used(const Git& repository, const std::string& driver) {
    auto files = repository.output({"ls-files", "-z", "--", ":(attr:filter=" + driver + ")"});
    return files ? Result<bool>{!files->empty()} : Result<bool>{files.error()};
}

}  // namespace

Result<std::vector<MissingFilter>> missing_filters(const std::string& root) {
    const Git repository(root);
    constexpr int none_set = 1;
    const std::vector<std::string> arguments{"config", "-z", "--get-regexp",
                                             "^filter\\..*\\.(clean|smudge|process)$"};
    TRY_ASSIGN(auto end, repository.run(arguments));
    if (end.status > none_set) {
        return repository.failure(arguments, end);
    }
    std::vector<MissingFilter> missing;
    std::set<std::string> told;
    for (const std::string& entry : split_at_nul(end.output)) {
        const std::size_t line_end = entry.find('\n');
        const std::string setting = entry.substr(0, line_end);
        const std::string program = line_end == std::string::npos
                                        ? std::string{}
                                        : first_word(std::string_view(entry).substr(line_end + 1));
        const std::size_t begin = setting.find('.') + 1;
        const std::string driver = setting.substr(begin, setting.rfind('.') - begin);
        if (program.empty() || !is_plain_name(driver) || told.count(driver) != 0) {
            continue;
        }
        auto found = is_found(program, root);
        auto used = found && !*found ? is_used(repository, driver) : Result<bool>{false};
        if (!found || !used) {
            return found ? used.error() : found.error();
        }
        if (*used) {
            told.insert(driver);
            missing.push_back({driver, setting, program});
        }
    }
    return missing;
}

}  // namespace ralph::daemon
