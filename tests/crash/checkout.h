// The role "checkout": the user's checkout is brought forward, and killed on the way.
#pragma once

#include <string>
#include <vector>

#include "tests/crash/tracer.h"

namespace ralph::tests {

class Project;

// Processes that were started in the project.
[[nodiscard]] std::size_t processes_of(const Project& project);

// One project in which the checkout is brought forward again and again.
class CheckoutFixture {
  public:
    explicit CheckoutFixture(const Project& project);

    // Somebody lands something, the step that brings the checkout forward is killed, and what comes next
    // fixes it. `differences`: what is not as it should be then.
    Traced check_point(int n, Victims victims, std::vector<std::string>& differences);

  private:
    void land();
    [[nodiscard]] std::vector<std::string> differences() const;
    const Project& project_;
    std::string colleague_;
    int landings_ = 0;
};

}  // namespace ralph::tests
