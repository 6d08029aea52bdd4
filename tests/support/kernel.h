// What only some machines let a test do: cgroups, file systems of its own. Each says why it cannot, so that a
// test can print it and end.
#pragma once

#include <string>

namespace ralph::tests {

// A cgroup below the one this process is in; gone with its owner, together with all that still runs in it.
// What a test that was killed has left, empty, is removed by the next one.
class TestCgroup {
  public:
    // systemd's own v1 hierarchy has no controller: where v1 and v2 are mounted side by side, systemd looks
    // at both.
    enum class Hierarchy { unified, legacy_memory, legacy_systemd };

    explicit TestCgroup(Hierarchy hierarchy, const std::string& parent = "");
    ~TestCgroup();
    TestCgroup(const TestCgroup&) = delete;
    TestCgroup& operator=(const TestCgroup&) = delete;

    // Empty if it is there.
    [[nodiscard]] const std::string& refusal() const { return refusal_; }
    [[nodiscard]] const std::string& path() const { return path_; }
    // False if the kernel refuses it.
    [[nodiscard]] bool write(const std::string& file, const std::string& text) const;
    [[nodiscard]] bool mark(const std::string& attribute, const std::string& value) const;
    // Enables a controller for what is below it. False if the kernel refuses it. Above it stays enabled.
    [[nodiscard]] bool enable(const std::string& controller) const;
    // Shell lines that move the shell into it.
    [[nodiscard]] std::string enter() const { return "echo $$ > '" + path_ + "/cgroup.procs' || exit 1"; }

  private:
    std::string path_;
    std::string refusal_;
};

// A small file system in memory, mounted until its owner is gone.
class SmallDisk {
  public:
    SmallDisk(std::string where, const std::string& size);
    ~SmallDisk();
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    [[nodiscard]] const std::string& refusal() const { return refusal_; }

  private:
    std::string where_;
    std::string refusal_;
};

}  // namespace ralph::tests
