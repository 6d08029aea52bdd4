// A `git` in front of the real one in PATH, for as long as it lives: a shell script that does something when
// it sees a certain command, as a killed git or a full disk would, and else is the real one.
#pragma once

#include <cstdlib>
#include <string>

#include "tests/support/git_fixture.h"

namespace ralph::tests {

class GitWrapper {
  public:
    // `pattern` as in a shell's `case`, over all arguments; `script` may call the real git as "$git".
    GitWrapper(const GitFixture& fixture, const std::string& pattern, const std::string& script) {
        const char* const path = std::getenv("PATH");
        before_ = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
        GitFixture::write_script(fixture.folder() + "/bin/git",
                                 "PATH='" + before_ + "'\ngit=$(command -v git)\ncase \"$*\" in " + pattern +
                                     ")\n" + script + "\n;; esac\nexec \"$git\" \"$@\"");
        ::setenv("PATH", (fixture.folder() + "/bin:" + before_).c_str(), 1);
    }
    ~GitWrapper() { ::setenv("PATH", before_.c_str(), 1); }
    GitWrapper(const GitWrapper&) = delete;
    GitWrapper& operator=(const GitWrapper&) = delete;

  private:
    std::string before_;
};

}  // namespace ralph::tests
