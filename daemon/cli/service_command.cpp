// ralph service: the unit of a repository. The unit itself is installed with ralph; here a drop-in is written
// for the repository, and systemctl is asked to do the rest.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "daemon/cli/common.h"
#include "daemon/cli/service_facts.h"
#include "daemon/git/git.h"
#include "daemon/os/files.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;

constexpr unsigned readable_by_all = 0644;

struct Service {
    ServiceScope scope = ServiceScope::system;
    std::string root;
    std::string unit;  // "ralph@srv-project.service"

    [[nodiscard]] std::string folder() const { return unit_folder(scope) + "/" + unit + ".d"; }
    [[nodiscard]] std::string drop_in() const { return folder() + "/50-ralph.conf"; }
    [[nodiscard]] std::vector<std::string> program(const std::string& name) const {
        return scope == ServiceScope::user ? std::vector<std::string>{name, "--user"}
                                           : std::vector<std::string>{name};
    }
    [[nodiscard]] std::vector<std::string> systemctl(const std::vector<std::string>& words) const {
        std::vector<std::string> command = program("systemctl");
        command.insert(command.end(), words.begin(), words.end());
        return command;
    }
};

// The repository need not be there any more for its service to be looked at and removed.
enum class Repository { must_exist, may_be_gone };

Result<Service> find_service(const CommonArguments& common, const ServiceArguments& arguments,
                             Repository repository) {
    Service service;
    service.scope = arguments.user ? ServiceScope::user : ServiceScope::system;
    std::error_code problem;
    const fs::path given = fs::absolute(common.repository, problem).lexically_normal();
    if (repository == Repository::must_exist || fs::exists(given, problem)) {
        TRY_ASSIGN(service.root, find_repository(common.repository));
    } else {
        service.root = given.string();
    }
    TRY_ASSIGN(service.unit, core::service_unit_name(service.root));
    return service;
}

// As a shell would have to be given it.
std::string shell_line(const std::vector<std::string>& command) {
    std::string line;
    for (const std::string& word : command) {
        const bool plain = !word.empty() && word.find_first_not_of(
                                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                "0123456789@%+=:,./_-") == std::string::npos;
        std::string quoted;
        for (const char c : word) {
            quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
        }
        line += (line.empty() ? "" : " ") + (plain ? word : "'" + quoted + "'");
    }
    return line;
}

Result<void> run_command(const std::vector<std::string>& command) {
    ProgramRequest request;
    request.program = command.front();
    request.arguments.assign(command.begin() + 1, command.end());
    request.directory = "/";
    request.environment = our_environment();
    TRY_ASSIGN(const auto end, run_program(request));
    if (!end.succeeded()) {
        return Error{fmt::format("{}: {}", shell_line(command),
                                 end.errors.empty() ? end.describe() : last_lines(end.errors)),
                     "`ralph service logs` and `ralph service status` tell more"};
    }
    return {};
}

// What is to be done, one after the other, and told before it is done; with --dry-run it is only told.
class Plan {
  public:
    void run(std::vector<std::string> command) {
        std::string told = "run " + shell_line(command) + "\n";
        deeds_.push_back({std::move(told), [command = std::move(command)] { return run_command(command); }});
    }
    void write(const std::string& path, const std::string& text) {
        deeds_.push_back(
            {fmt::format("write {}\n", path), [path, text] { return write_drop_in(path, text); }});
        if (!text.empty()) {
            deeds_.back().content = text;
        }
    }
    void remove(const std::string& path) {
        deeds_.push_back({fmt::format("remove {}\n", path), [path] { return remove_drop_in(path); }});
    }

    Result<int> execute(bool dry_run) const {
        for (const Deed& deed : deeds_) {
            const int told = print(dry_run ? "would " + deed.told + indented(deed.content) : deed.told);
            if (told != 0) {
                return told;
            }
            TRY(dry_run ? Result<void>{} : deed.act());
        }
        return 0;
    }

  private:
    struct Deed {
        std::string told;
        std::function<Result<void>()> act;
        std::string content = {};
    };

    static std::string indented(const std::string& text) {
        std::string result;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = std::min(text.find('\n', at), text.size());
            result += (end == at ? "" : "    ") + text.substr(at, end - at) + "\n";
            at = end + 1;
        }
        return result;
    }

    static Result<void> write_drop_in(const std::string& path, const std::string& text) {
        std::error_code problem;
        fs::create_directories(fs::path(path).parent_path(), problem);
        if (problem) {
            return Error{fmt::format("{}: {}", path, problem.message())};
        }
        return write_file_durably(path, text, readable_by_all);
    }

    // Drop-ins of somebody else's stay.
    static Result<void> remove_drop_in(const std::string& path) {
        TRY(remove_file(path));
        std::error_code not_empty;
        fs::remove(fs::path(path).parent_path(), not_empty);
        return {};
    }

    std::vector<Deed> deeds_;
};

Result<Account> account_for(const Service& service, const ServiceArguments& arguments) {
    if (!arguments.run_as.empty()) {
        return account_of(arguments.run_as);
    }
    TRY_ASSIGN(const auto owner, owner_of(service.root));
    auto account = account_of(owner);
    if (account && service.scope == ServiceScope::user && owner != ::geteuid()) {
        return Error{fmt::format("{} belongs to {}", service.root, account->names.user),
                     "install its service as that user, or without --user as root"};
    }
    return account;
}

std::optional<Error> refusal(const Service& service) {
    if (service.scope == ServiceScope::system && ::geteuid() != 0) {
        return Error{"only root changes the services of the machine",
                     "run it with sudo, or with --user for a service of your own"};
    }
    return missing_systemd(service.scope);
}

// As above, and what follows may be done here; with --dry-run nothing is done.
Result<Service> find_service_to_change(const CommonArguments& common, const ServiceArguments& arguments,
                                       Repository repository) {
    auto service = find_service(common, arguments, repository);
    if (!service) {
        return service.error();
    }
    if (const auto why = refusal(*service); why && !arguments.dry_run) {
        return *why;
    }
    return service;
}

std::vector<std::string> writable_paths(const Account& account, const RepositoryFacts& facts) {
    std::vector<std::string> paths = facts.remotes;
    paths.push_back(facts.workspace_root);
    if (!account.names.home.empty() && account.names.home != "/") {
        paths.push_back(real_path(account.names.home));
    }
    return core::outermost_paths(std::move(paths));
}

Result<Plan> installation(const Service& service, const ServiceArguments& arguments) {
    TRY_ASSIGN(const auto account, account_for(service, arguments));
    TRY_ASSIGN(const auto facts, repository_facts_as(account, service.root));
    Plan plan;
    core::ServiceDropIn drop_in;
    drop_in.workers = arguments.workers;
    if (service.scope == ServiceScope::system) {
        drop_in.account = account.names;
        drop_in.writable = writable_paths(account, facts);
        TRY_ASSIGN(auto commands, commands_to_make(facts.workspace_root, account));
        for (auto& command : commands) {
            plan.run(std::move(command));
        }
    }
    TRY_ASSIGN(const auto drop_in_text, core::drop_in_text(drop_in));
    const std::string& text = drop_in_text;
    TRY_ASSIGN(const auto before, read_file(service.drop_in()));
    plan.write(service.drop_in(), text);
    plan.run(service.systemctl({"daemon-reload"}));
    plan.run(service.systemctl({"enable", "--now", service.unit}));
    if (before && *before != text) {
        plan.run(service.systemctl({"try-restart", service.unit}));  // the workers go on meanwhile
    }
    return plan;
}

// Ends as the program ends.
int become(const std::vector<std::string>& command, bool dry_run) {
    if (dry_run) {
        return print("would run " + shell_line(command) + "\n");
    }
    std::vector<std::string> words = command;
    std::vector<char*> pointers;
    for (std::string& word : words) {
        pointers.push_back(word.data());
    }
    pointers.push_back(nullptr);
    ::execvp(pointers.front(), pointers.data());
    return report_error(Error{fmt::format("{}: cannot be run: {}", words.front(), ::strerrordesc_np(errno)),
                              "install systemd, or look into the log of whatever starts ralph here"});
}

}  // namespace

int service_install(const CommonArguments& common, const ServiceArguments& arguments) {
    const auto service = find_service_to_change(common, arguments, Repository::must_exist);
    if (!service) {
        return report_error(service.error());
    }
    const auto no_unit = missing_unit(service->scope);
    if (no_unit && !arguments.dry_run) {
        return report_error(*no_unit);
    }
    const auto plan = installation(*service, arguments);
    if (!plan) {
        return report_error(plan.error());
    }
    const auto done = plan->execute(arguments.dry_run);
    if (!done) {
        return report_error(done.error());
    }
    if (*done != 0 || arguments.dry_run) {
        return no_unit && *done == 0 ? print("note: " + no_unit->line() + "\n") : *done;
    }
    const std::string which = arguments.user ? " --user" : "";
    return print(fmt::format("{} runs; see `ralph service status{}` and `ralph service logs{}`\n",
                             service->unit, which, which));
}

int service_uninstall(const CommonArguments& common, const ServiceArguments& arguments) {
    const auto service = find_service_to_change(common, arguments, Repository::may_be_gone);
    if (!service) {
        return report_error(service.error());
    }
    const auto installed = is_there(service->drop_in());
    if (!installed) {
        return report_error(installed.error());
    }
    if (!*installed) {
        return print(fmt::format("{} is not installed: there is no {}\n", service->unit, service->drop_in()));
    }
    Plan plan;
    plan.run(service->systemctl({"disable", "--now", service->unit}));
    plan.remove(service->drop_in());
    plan.run(service->systemctl({"daemon-reload"}));
    const auto done = plan.execute(arguments.dry_run);
    return done ? *done : report_error(done.error());
}

int service_status(const CommonArguments& common, const ServiceArguments& arguments) {
    const auto service = find_service(common, arguments, Repository::may_be_gone);
    if (!service) {
        return report_error(service.error());
    }
    if (const auto why = missing_systemd(service->scope); why && !arguments.dry_run) {
        return report_error(*why);
    }
    return become(service->systemctl({"status", service->unit}), arguments.dry_run);
}

int service_logs(const CommonArguments& common, const ServiceArguments& arguments) {
    const auto service = find_service(common, arguments, Repository::may_be_gone);
    if (!service) {
        return report_error(service.error());
    }
    std::vector<std::string> command = service->program("journalctl");
    command.insert(command.end(), {arguments.follow ? "--follow" : "--pager-end", "--unit", service->unit});
    return become(command, arguments.dry_run);
}

int service_describe(const CommonArguments& common) {
    const auto root = find_repository(common.repository);
    if (!root) {
        return report_error(root.error());
    }
    const auto facts = repository_facts(*root);
    return facts ? print(facts_text(*facts)) : report_error(facts.error());
}

}  // namespace ralph::daemon
