// ralph gate: the gate of the merge queue, run by hand or by a worker on the commit that is checked out here.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "daemon/cli/common.h"
#include "daemon/git/git.h"
#include "daemon/git/trust.h"
#include "daemon/landing/gate.h"
#include "daemon/os/files.h"
#include "daemon/os/program.h"

namespace ralph::daemon {
namespace {

using core::Error;
using core::Result;

constexpr int exit_gate_is_red = 5;

struct Place {
    Settings settings;
    Git git;
};

// Whoever ends us ends the gate, too, with all that it started.
class Interruption {
  public:
    Interruption() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) == 0) {
            read_end_ = FileDescriptor(ends[0]);
            write_end = ends[1];
        }
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
            std::signal(number, on_signal);
        }
    }
    [[nodiscard]] int pipe() const { return read_end_.get(); }
    [[nodiscard]] static int signal() { return arrived; }

  private:
    static void on_signal(int number) {
        if (arrived == 0) {
            arrived = number;
            ::close(write_end);
        }
    }

    FileDescriptor read_end_;
    // A handler of signals knows no objects.
    static inline volatile std::sig_atomic_t arrived = 0;
    static inline volatile std::sig_atomic_t write_end = -1;
};

// A worker is told by RALPH_ROOT whose workspace it is in.
Result<Place> find_place(const CommonArguments& common) {
    const std::string root = our_variable("RALPH_ROOT");
    TRY_ASSIGN(auto settings, root.empty() ? open_repository(common) : load_settings(root));
    TRY_ASSIGN(auto top, find_repository(common.repository));
    const bool is_workspace = top.substr(0, top.rfind('/')) == real_path(settings.workspace_root);
    if (!is_workspace && top != real_path(settings.paths.root)) {
        return Error{fmt::format("{} is neither in {} nor in a workspace of it", top, settings.paths.root),
                     "go to one of them, or name it with --repo"};
    }
    return Place{std::move(settings), Git(top)};
}

// It may do no harm to its ground here: it is the caller's own.
Result<std::string> check_unchanged(const Git& git, const std::string& commit) {
    auto head = git.head();
    TRY_ASSIGN(auto dirty,
               head ? git.dirty_paths(Git::Untracked::yes) : Result<std::vector<std::string>>{head.error()});
    if (*head != commit || !dirty.empty()) {
        return Error{fmt::format("{} was changed while the gate ran{}", git.directory(),
                                 dirty.empty() ? "" : ": " + core::printable(dirty.front())),
                     "its verdict does not count; let the gate leave files as they are, or git ignore them"};
    }
    return {boost::system::in_place_value, std::string{}};
}

}  // namespace

int run_gate(const CommonArguments& common) {
    const auto place = find_place(common);
    if (!place) {
        return report_error(place.error());
    }
    const Git& git = place->git;
    auto folder = git.line({"rev-parse", "--absolute-git-dir"});
    auto lock = folder ? FileLock::acquire(*folder + "/ralph-gate.lock", FileLock::Wait::no)
                       : Result<std::optional<FileLock>>{folder.error()};
    if (!lock || !*lock) {
        return report_error(lock ? Error{fmt::format("the gate runs in {} already", git.directory()),
                                         "wait for its end, then run `ralph gate` again"}
                                 : lock.error());
    }
    auto dirty = git.dirty_paths(Git::Untracked::yes);
    auto commit = dirty ? git.head() : Result<std::string>{dirty.error()};
    if (!commit) {
        return report_error(commit.error());
    }
    if (!dirty->empty()) {
        return report_error(Error{
            fmt::format("{} is not committed, and the gate judges commits", core::printable(dirty->front())),
            "commit everything, then run `ralph gate` again"});
    }
    Gates gates(place->settings, git,
                {[] { return Result<void>{}; },
                 [&git](const std::string& judged) { return check_unchanged(git, judged); }});
    if (gates.are_none()) {
        return print("no gate is configured\n");
    }
    auto files = gates.files_of(*commit);
    if (!files) {
        return report_error(files.error());
    }
    if (gates.recall(*files)) {
        return print(fmt::format("{} has passed the gate already\n", commit->substr(0, 12)));
    }
    const Interruption interruption;
    if (interruption.pipe() < 0) {
        return report_error(Error{fmt::format("a pipe cannot be made: {}", ::strerrordesc_np(errno))});
    }
    gates.until_end_of = interruption.pipe();
    const std::string branch = our_variable("RALPH_TARGET_BRANCH");
    auto base = git.resolve(origin_ref(branch.empty() ? "HEAD" : branch) + "^{commit}");
    const std::string task_id = our_variable("RALPH_TASK_ID");
    auto verdict =
        base ? gates.judge(*commit, *files, base->value_or(std::string{}),
                           task_id.empty() ? std::vector<std::string>{} : std::vector<std::string>{task_id})
             : Result<GateVerdict>{base.error()};
    if (Interruption::signal() != 0) {
        return 128 + Interruption::signal();
    }
    if (!verdict) {
        return report_error(verdict.error());
    }
    if (!verdict->green) {
        static_cast<void>(report_error(Error{verdict->reason}));
        return verdict->ran ? exit_gate_is_red : core::exit_could_not_run;
    }
    return print(fmt::format("{} has passed the gate{}\n", commit->substr(0, 12),
                             verdict->note.empty() ? "" : ": " + verdict->note));
}

}  // namespace ralph::daemon
