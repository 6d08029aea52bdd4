// The ledger: what the witnesses of the tasks wrote. It knows nothing of ralph but a task's id and the mark
// of a run.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/chaos/clock.h"

namespace ralph::chaos {

struct LedgerRun {
    std::string run_id;
    int attempt = 0;
    Nanoseconds begin = 0;
    Nanoseconds end = 0;  // 0: it did not come to its end
    std::optional<int> status;
};

struct Ledger {
    std::map<std::string, std::vector<LedgerRun>> runs;  // by task, in the order of their begin
    std::vector<std::string> faults;                     // overlaps, and lines that should not be there
};

[[nodiscard]] Ledger read_ledger(const std::string& path);

}  // namespace ralph::chaos
