// Changes in folders, told by the kernel, and where it has no inotify for us by a timer.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <string>

#include "daemon/os/file_descriptor.h"
#include "daemon/supervisor/watcher.h"
#include "tests/support/temporary_directory.h"

using namespace ralph::daemon;
using namespace ralph::tests;

namespace {

void make_file(const std::string& path) {
    const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(file);
}

}  // namespace

TEST_CASE("a folder that the kernel cannot watch is looked at, and watched when it can be" *
          doctest::test_suite("as-built")) {
    const TemporaryDirectory folder;
    Loop loop;
    Timer patience(loop);
    Watcher watcher(loop);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    int looks = 0;
    bool told = false;
    const auto changed = [&](const std::string& where, std::string_view name) {
        if (name.empty()) {
            if (++looks == 1) {
                REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
            } else {
                make_file(folder.path() + "/new");
            }
        } else {
            told = where == folder.path() && name == "new";
            patience.cancel();
            watcher.stop();
        }
    };
    {
        const FileDescriptor next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        rlimit none = before;
        none.rlim_cur = static_cast<rlim_t>(next.get());
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    }
    watcher.start({folder.path()}, changed);
    patience.arm(std::chrono::seconds{20}, [&] { watcher.stop(); });
    loop.run();
    ::setrlimit(RLIMIT_NOFILE, &before);
    CHECK(looks == 2);  // one without inotify, and one when that was there again
    CHECK(told);
}
