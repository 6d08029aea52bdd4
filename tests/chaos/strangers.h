// Innocent processes with the names of ours. None of them may ever get a signal.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "daemon/os/file_descriptor.h"

namespace ralph::chaos {

class Strangers {
  public:
    // Copies of `program` in `folder`, run in `directory`.
    Strangers(const std::string& program, const std::string& folder, const std::string& directory);
    ~Strangers();
    Strangers(const Strangers&) = delete;
    Strangers& operator=(const Strangers&) = delete;

    // Lets them end. What happened to them until then; nothing if they were left alone.
    [[nodiscard]] std::vector<std::string> harm();

  private:
    struct Stranger {
        std::string name;
        pid_t pid;
        daemon::FileDescriptor input;  // they end when it is closed
    };
    void dismiss();
    std::string book_;
    std::vector<Stranger> strangers_;
    std::vector<std::string> harm_;
};

}  // namespace ralph::chaos
