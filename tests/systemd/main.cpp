// The tests that boot a real systemd. Where that cannot be done they say why and end with the status by which
// ctest knows a skipped test.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/systemd/mount_namespace.h"

namespace {

constexpr int skipped = 77;  // SKIP_RETURN_CODE in tests/CMakeLists.txt

bool only_asks(const std::vector<std::string>& arguments) {
    return std::any_of(arguments.begin(), arguments.end(), [](const std::string& argument) {
        return argument.rfind("--list", 0) == 0 || argument.rfind("-l", 0) == 0 || argument == "--help";
    });
}

}  // namespace

int main(int count, char** texts) {
    const std::vector<std::string> arguments(texts + 1, texts + count);
    if (!only_asks(arguments)) {
        const std::string refusal = ralph::tests::enter_mount_namespace();
        if (!refusal.empty()) {
            static_cast<void>(
                std::printf("the tests with a real systemd are skipped: %s\n", refusal.c_str()));
            return skipped;
        }
        if (arguments == std::vector<std::string>{"--possible"}) {
            return 0;
        }
    }
    doctest::Context context(count, texts);
    return context.run();
}
