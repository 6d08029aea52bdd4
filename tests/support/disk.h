// A small disk of its own, that can be filled and emptied.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

namespace ralph::tests {

class Disk {
  public:
    // Mounts `mebibytes` of memory at the folder, in a mount namespace of this process alone, so that nothing
    // is left on the machine however this process ends. Nothing where that is not permitted; `why` then says
    // why.
    [[nodiscard]] static std::unique_ptr<Disk> mount(const std::string& folder, std::uint64_t mebibytes,
                                                     std::string& why);
    ~Disk();
    Disk(const Disk&) = delete;
    Disk& operator=(const Disk&) = delete;

    // Takes all that is free now. Again while it is full takes what was freed meanwhile.
    void fill();
    void empty();
    [[nodiscard]] bool is_filled() const { return filled_; }

  private:
    explicit Disk(std::string folder) : folder_(std::move(folder)) {}
    std::string folder_;
    bool filled_ = false;
};

// TMPDIR for as long as it lives.
class TemporaryPlace {
  public:
    explicit TemporaryPlace(const std::string& folder) {
        if (const char* before = std::getenv("TMPDIR")) {
            before_ = before;
        }
        ::setenv("TMPDIR", folder.c_str(), 1);
    }
    ~TemporaryPlace() {
        if (before_.empty()) {
            ::unsetenv("TMPDIR");
        } else {
            ::setenv("TMPDIR", before_.c_str(), 1);
        }
    }
    TemporaryPlace(const TemporaryPlace&) = delete;
    TemporaryPlace& operator=(const TemporaryPlace&) = delete;

  private:
    std::string before_;
};

}  // namespace ralph::tests
