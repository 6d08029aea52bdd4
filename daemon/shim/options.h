// What the supervisor tells a shim on its command line.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace ralph::shim {

struct Options {
    long grace_ms = 10'000;
    long timeout_ms = 0;  // 0: none
    long silence_ms = 0;  // how long it may write nothing; 0: as long as it likes
    std::string log_name;
    long long log_limit = 64LL << 20;
    long descriptors = 0;  // how many the step may have open; 0: as many as the shim
    std::string directory;
    std::string banner;
    // A file of the step's cgroup, and what goes into it.
    std::vector<std::pair<std::string, std::string>> limits;
    char** command = nullptr;
};

// False if that is not how ralph starts a shim.
[[nodiscard]] bool parse(int argc, char** argv, Options& options);

}  // namespace ralph::shim
