// A project whose agent is a stand-in: it does what a list says, one word a call.
#pragma once

#include <string>
#include <vector>

#include "core/agents/agent_record.h"
#include "tests/support/project.h"

namespace ralph::tests {

class Robots {
  public:
    // The words are those of the script in the source; the last one is for all later calls. `worker` and
    // `rest` are more members of the worker section and of supervisor.jsonc.
    explicit Robots(const std::string& behaviours, const std::string& worker = "",
                    const std::string& rest = "");

    void behave(const std::string& behaviours) const;
    void add(const std::string& title = "A task") const;
    // "TASK BEHAVIOUR MODE", one a line.
    [[nodiscard]] std::string calls() const;
    [[nodiscard]] std::vector<core::AgentRecord> records(const std::string& task = "RQ-0001") const;
    [[nodiscard]] std::string prompt(int call, const std::string& task = "RQ-0001") const;
    [[nodiscard]] std::string log(const std::string& task = "RQ-0001") const;
    [[nodiscard]] bool said(const std::string& words) const;

    Project project;
};

}  // namespace ralph::tests
