// Files, locks and the state on a real disk.
#include <doctest/doctest.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <thread>

#include "core/supervisor/state_codec.h"
#include "daemon/os/files.h"
#include "daemon/store/paths.h"
#include "daemon/store/queue_lock.h"
#include "daemon/store/state_store.h"
#include "daemon/store/supervisor_lock.h"
#include "tests/support/temporary_directory.h"

using namespace ralph::daemon;
using ralph::core::ParallelState;
using ralph::tests::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {

void put(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

std::string get(const std::string& path) {
    const auto text = read_file(path);
    return text && *text ? **text : "<missing>";
}

ParallelState state_named(const std::string& branch) {
    ParallelState state;
    state.started_at = "2026-01-01T00:00:00.000000000Z";
    state.target_branch = branch;
    return state;
}

Paths repository(const TemporaryDirectory& folder) {
    Paths paths{folder.path()};
    fs::create_directories(paths.parallel());
    fs::create_directories(paths.git());
    return paths;
}

constexpr const char* now = "2026-02-01T00:00:00.000000000Z";

}  // namespace

TEST_CASE("a durable write replaces the whole file, its mode is 0600, and nothing else is left") {
    const TemporaryDirectory folder;
    put(folder / "file", "old and longer");
    put(folder / "file.new", "left by a crash");
    REQUIRE(write_file_durably(folder / "file", "new").has_value());
    CHECK(get(folder / "file") == "new");
    struct stat info {};
    REQUIRE(::stat((folder / "file").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == 0600U);
    CHECK(*list_directory(folder.path()) == std::vector<std::string>{"file"});
}

TEST_CASE("a durable write that fails says where, and leaves the old file") {
    const TemporaryDirectory folder;
    fs::create_directories(folder / "target/inside");
    const auto written = write_file_durably(folder / "target", "new");
    REQUIRE(!written);
    CHECK(written.error().message.find(folder / "target") != std::string::npos);
    CHECK(fs::is_directory(folder / "target/inside"));
    CHECK(*list_directory(folder.path()) == std::vector<std::string>{"target"});
}

TEST_CASE("a symbolic link is replaced by a durable write, not followed") {
    const TemporaryDirectory folder;
    put(folder / "elsewhere", "precious");
    fs::create_symlink(folder / "elsewhere", folder / "file");
    REQUIRE(write_file_durably(folder / "file", "new").has_value());
    CHECK(get(folder / "elsewhere") == "precious");
    CHECK(get(folder / "file") == "new");
}

TEST_CASE("a file of the user's that is rewritten keeps its permissions, whatever the umask says") {
    const TemporaryDirectory folder;
    put(folder / "file", "old");
    fs::permissions(folder / "file", static_cast<fs::perms>(0666));
    REQUIRE(rewrite_file_durably(folder / "file", "new", folder.path()).has_value());
    CHECK(get(folder / "file") == "new");
    CHECK((fs::status(folder / "file").permissions() & fs::perms::mask) == static_cast<fs::perms>(0666));
    REQUIRE(rewrite_file_durably(folder / "another", "new", folder.path()).has_value());
    CHECK(get(folder / "another") == "new");
}

TEST_CASE("a link of the user's to a file inside stays a link, and one that leads out is refused") {
    const TemporaryDirectory folder;
    const std::string inside = folder / "inside";
    put(inside + "/real/file", "old");
    fs::permissions(inside + "/real/file", static_cast<fs::perms>(0640));
    fs::create_symlink("real/file", inside + "/link");
    REQUIRE(rewrite_file_durably(inside + "/link", "new", inside).has_value());
    CHECK(fs::read_symlink(inside + "/link") == "real/file");
    CHECK(get(inside + "/real/file") == "new");
    CHECK((fs::status(inside + "/real/file").permissions() & fs::perms::mask) ==
          static_cast<fs::perms>(0640));

    put(folder / "inside-not", "precious");
    fs::create_symlink(folder / "inside-not", inside + "/out");
    const auto refused = rewrite_file_durably(inside + "/out", "new", inside);
    REQUIRE(!refused);
    CHECK(refused.error().line().find("outside of " + inside) != std::string::npos);
    CHECK(get(folder / "inside-not") == "precious");
    fs::create_symlink("nothing", inside + "/dangling");
    CHECK(!rewrite_file_durably(inside + "/dangling", "new", inside));

    // Where links are not to be followed they are replaced.
    REQUIRE(rewrite_file_durably(inside + "/out", "new", "").has_value());
    CHECK(!fs::is_symlink(inside + "/out"));
    CHECK(get(folder / "inside-not") == "precious");
}

TEST_CASE("reading: missing is nothing, too large and not a file are errors") {
    const TemporaryDirectory folder;
    CHECK(!read_file(folder / "missing")->has_value());
    put(folder / "large", std::string(100, 'x'));
    CHECK(!read_file(folder / "large", 99));
    CHECK((*read_file(folder / "large", 100))->size() == 100);
    CHECK(!read_file(folder.path()));
}

TEST_CASE("removing a tree follows no link and takes read-only folders") {
    const TemporaryDirectory folder;
    put(folder / "outside/precious", "precious");
    put(folder / "tree/a/b/file", "x");
    fs::create_directory_symlink(folder / "outside", folder / "tree/a/link");
    fs::create_symlink(folder / "outside/precious", folder / "tree/file-link");
    fs::permissions(folder / "tree/a/b", fs::perms::owner_read | fs::perms::owner_exec);
    REQUIRE(remove_tree(folder.path(), "tree").has_value());
    CHECK(!fs::exists(folder / "tree"));
    CHECK(get(folder / "outside/precious") == "precious");
    CHECK(remove_tree(folder.path(), "tree").has_value());
}

TEST_CASE("removing a tree refuses a name that is itself a link") {
    const TemporaryDirectory folder;
    put(folder / "outside/precious", "precious");
    fs::create_directory_symlink(folder / "outside", folder / "link");
    CHECK(!remove_tree(folder.path(), "link"));
    CHECK(get(folder / "outside/precious") == "precious");
}

TEST_CASE("removing a tree stays on its file system") {
    // In a mount namespace of its own, where somebody without rights is root, too.
    const TemporaryDirectory folder;
    fs::create_directories(folder / "tree/mounted");
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const std::string mounted = folder / "tree/mounted";
        const auto user = ::geteuid();
        if (::unshare(user == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0) {
            ::_exit(77);
        }
        if (user != 0) {
            std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
        }
        if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("tmpfs", mounted.c_str(), "tmpfs", 0, nullptr) != 0) {
            ::_exit(77);
        }
        std::ofstream(mounted + "/precious") << "precious";
        const bool removed = remove_tree(folder.path(), "tree").has_value();
        ::_exit(!removed && fs::exists(mounted + "/precious") ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        MESSAGE("nothing can be mounted here: not tested");
        return;
    }
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a lock whose folder became a file is held by nobody") {
    const TemporaryDirectory folder;
    std::ofstream(folder / "cache") << "a file";
    const auto locked = is_locked(folder / "cache/run/lock");
    REQUIRE(locked.has_value());
    CHECK_FALSE(*locked);
}

TEST_CASE("a file lock is held once and freed with its owner") {
    const TemporaryDirectory folder;
    {
        const auto first = FileLock::acquire(folder / "lock", FileLock::Wait::no);
        REQUIRE(first.has_value());
        REQUIRE(first->has_value());
        const auto second = FileLock::acquire(folder / "lock", FileLock::Wait::no);
        REQUIRE(second.has_value());
        CHECK(!second->has_value());
    }
    CHECK(FileLock::acquire(folder / "lock", FileLock::Wait::no)->has_value());
}

TEST_CASE("the state and its previous generation") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    CHECK(!load_state(paths)->state.has_value());
    const std::string first = ralph::core::state_text(state_named("first"));
    const std::string second = ralph::core::state_text(state_named("second"));
    REQUIRE(save_state(paths, first).has_value());
    CHECK(get(paths.state()) == first);
    CHECK(!fs::exists(paths.previous_state()));
    REQUIRE(save_state(paths, second).has_value());
    CHECK(get(paths.state()) == second);
    CHECK(get(paths.previous_state()) == first);
    CHECK(*list_directory(paths.parallel()) == std::vector<std::string>{"state.json", "state.prev.json"});
    CHECK(load_state(paths)->state->target_branch == "second");
}

TEST_CASE("an unreadable state is kept aside and the previous generation used") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    const std::string whole = ralph::core::state_text(state_named("whole"));
    for (const std::string& broken : {std::string(), whole.substr(0, whole.size() / 2), std::string("[]"),
                                      std::string(R"({"schema_version": "3"})"),
                                      std::string(R"({"schema_version": 4})"), std::string("\0\0\0", 3)}) {
        fs::remove_all(paths.parallel());
        put(paths.previous_state(), whole);
        put(paths.state(), broken);
        const auto loaded = load_state(paths);
        REQUIRE(loaded.has_value());
        CHECK(loaded->state->target_branch == "whole");
        CHECK(loaded->warning.find("state.json.quarantine-1") != std::string::npos);
        CHECK(get(paths.state() + ".quarantine-1") == broken);
        CHECK(get(paths.state()) == whole);  // there is no moment without a state
    }
}

TEST_CASE("an unreadable previous generation is kept aside before a save would write over it") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    const std::string whole = ralph::core::state_text(state_named("whole"));
    put(paths.previous_state(), "{");
    SUBCASE("with a state") {
        put(paths.state(), whole);
    }
    SUBCASE("without one") {}
    const auto loaded = load_state(paths);
    REQUIRE(loaded.has_value());
    CHECK(loaded->warning.find("state.prev.json.quarantine-1") != std::string::npos);
    CHECK(get(paths.previous_state() + ".quarantine-1") == "{");
    CHECK(!fs::exists(paths.previous_state()));
    CHECK(fs::exists(paths.state()) == loaded->state.has_value());
}

TEST_CASE("two unreadable generations stop everything and stay where they are") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    put(paths.state(), "{");
    put(paths.previous_state(), "");
    const auto loaded = load_state(paths);
    REQUIRE(!loaded);
    CHECK(loaded.error().message.find("state.json:1:1") != std::string::npos);
    CHECK(loaded.error().remedy == "run `ralph doctor`");
    CHECK(get(paths.state()) == "{");
    CHECK(get(paths.previous_state()).empty());
}

TEST_CASE("a removed state file means starting over, whatever the previous generation says") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    put(paths.previous_state(), ralph::core::state_text(state_named("old")));
    CHECK(!load_state(paths)->state.has_value());
}

TEST_CASE("one supervisor per repository, and the second is told who the first is") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    const auto first = SupervisorLock::acquire(paths, now);
    REQUIRE(first.has_value());
    const auto second = SupervisorLock::acquire(paths, now);
    REQUIRE(!second);
    CHECK(second.error().message.find("pid " + std::to_string(::getpid())) != std::string::npos);
    CHECK(living_supervisor(paths)->pid == ::getpid());
}

TEST_CASE("asking whether a supervisor lives takes no lock, so that it is in nobody's way") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    put(paths.supervisor_lock(), "");
    std::atomic<bool> done = false;
    std::atomic<int> asked = 0;
    std::thread asker([&] {
        while (!done) {
            static_cast<void>(living_supervisor(paths));
            ++asked;
        }
    });
    while (asked < 20'000) {
        const auto lock = FileLock::acquire(paths.supervisor_lock(), FileLock::Wait::no);
        CHECK((lock && *lock));
    }
    done = true;
    asker.join();
}

TEST_CASE("a command that holds the lock for a moment is no supervisor, and a start waits for it") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    auto command = FileLock::acquire(paths.supervisor_lock(), FileLock::Wait::no);
    REQUIRE((command && *command));
    CHECK(!living_supervisor(paths).has_value());
    const FileDescriptor opened(::inotify_init1(IN_CLOEXEC));
    REQUIRE(::inotify_add_watch(opened.get(), paths.supervisor_lock().c_str(), IN_CLOSE) >= 0);
    std::thread ends([&] {
        std::array<char, 4096> event{};
        static_cast<void>(::read(opened.get(), event.data(), event.size()));  // the start has tried once
        command->reset();
    });
    const auto lock = SupervisorLock::acquire(paths, now);
    ends.join();
    CHECK(lock.has_value());
    CHECK(living_supervisor(paths)->pid == ::getpid());
}

TEST_CASE("a session goes on after a crash and ends when it is ended") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    {
        const auto crashed = SupervisorLock::acquire(paths, "2026-01-01T00:00:00.000000000Z");
        CHECK(!crashed->resumed());
    }
    CHECK(!living_supervisor(paths).has_value());
    {
        const auto next = SupervisorLock::acquire(paths, now);
        CHECK(next->resumed());
        CHECK(next->session_started_at() == "2026-01-01T00:00:00.000000000Z");
        CHECK(next->predecessor()->pid == ::getpid());
        REQUIRE(next->end_session().has_value());
    }
    const auto fresh = SupervisorLock::acquire(paths, now);
    CHECK(!fresh->resumed());
    CHECK(fresh->session_started_at() == now);
}

TEST_CASE("a torn lock file counts as a crash of unknown age") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    put(paths.supervisor_lock(), "pid: 12\nsession_sta");
    const auto lock = SupervisorLock::acquire(paths, now);
    CHECK(lock->resumed());
    CHECK(lock->session_started_at() == "1970-01-01T00:00:00.000000000Z");
}

TEST_CASE("the queue lock as the Rust tools write it") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    {
        const auto lock = QueueLock::acquire(paths, "run loop", now, std::nullopt);
        REQUIRE(lock.has_value());
        const std::string owner = get(paths.queue_lock() + "/owner");
        const std::string begin =
            "pid: " + std::to_string(::getpid()) + "\nstarted_at: " + now + "\ncommand: ";
        CHECK(owner.substr(0, begin.size()) == begin);
        CHECK(owner.substr(owner.size() - 16) == "label: run loop\n");
        const auto second = QueueLock::acquire(paths, "run loop", now, std::nullopt);
        REQUIRE(!second);
        CHECK(second.error().message.rfind("Queue lock already held at:", 0) == 0);
    }
    CHECK(!fs::exists(paths.queue_lock()));
    CHECK(*list_directory(paths.ralph()) == std::vector<std::string>{"cache"});
}

TEST_CASE("a queue lock whose owner is dead is cleared, with the sidecars in it") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    // The largest pid there can be is below 2^22.
    put(paths.queue_lock() + "/owner", "pid: 4194304\nstarted_at: x\ncommand: y\nlabel: run loop\n");
    put(paths.queue_lock() + "/owner_task_4194304_0", "pid: 4194304\n");
    const auto lock = QueueLock::acquire(paths, "run loop", now, std::nullopt);
    REQUIRE(lock.has_value());
    CHECK(*list_directory(paths.queue_lock()) == std::vector<std::string>{"owner"});
}

TEST_CASE("a queue lock without a readable owner is never cleared") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    fs::create_directories(paths.queue_lock());
    CHECK(!QueueLock::acquire(paths, "run loop", now, std::nullopt));
    put(paths.queue_lock() + "/owner", "label: run loop\n");
    CHECK(!QueueLock::acquire(paths, "run loop", now, std::nullopt));
    CHECK(get(paths.queue_lock() + "/owner") == "label: run loop\n");
}

TEST_CASE("the queue lock of our own crashed predecessor is cleared although its pid lives again") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    const std::string owner =
        "pid: " + std::to_string(::getppid()) + "\nstarted_at: then\ncommand: y\nlabel: run loop\n";
    put(paths.queue_lock() + "/owner", owner);
    CHECK(!QueueLock::acquire(paths, "run loop", now, std::nullopt));
    CHECK(!QueueLock::acquire(paths, "run loop", now, QueueLockOwner{::getppid(), "other", "", ""}));
    CHECK(
        QueueLock::acquire(paths, "run loop", now, QueueLockOwner{::getppid(), "then", "", ""}).has_value());
}

TEST_CASE("sharing the queue lock with a living loop, and outliving it") {
    const TemporaryDirectory folder;
    const Paths paths = repository(folder);
    auto loop = std::make_optional(*QueueLock::acquire(paths, "run loop", now, std::nullopt));
    {
        const auto shared = QueueLock::acquire_shared(paths, now);
        REQUIRE(shared.has_value());
        CHECK(list_directory(paths.queue_lock())->size() == 2);
        loop.reset();
        CHECK(list_directory(paths.queue_lock())->size() == 1);
        // The one that is left lives: nobody clears its lock.
        CHECK(!QueueLock::acquire(paths, "run loop", now, std::nullopt));
        CHECK(list_directory(paths.queue_lock())->size() == 1);
    }
    CHECK(!fs::exists(paths.queue_lock()));
    const auto other = QueueLock::acquire(paths, "task edit", now, std::nullopt);
    CHECK(!QueueLock::acquire_shared(paths, now));
}
