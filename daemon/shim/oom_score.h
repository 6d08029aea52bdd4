// Whom the kernel kills first when memory runs out: the step, not the shim that has to tell of it.
#pragma once

#include <string>

namespace ralph::shim {

class OomScore {
  public:
    // Lowers our own score as far as we may, which may be not at all.
    OomScore();
    // Between fork and exec: what was inherited is the step's score. Async-signal-safe.
    void restore() const;

  private:
    std::string inherited_;
};

}  // namespace ralph::shim
