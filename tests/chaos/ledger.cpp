#include "tests/chaos/ledger.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace ralph::chaos {

Ledger read_ledger(const std::string& path) {
    Ledger ledger;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string what;
        std::string task;
        LedgerRun run;
        long pid = 0;
        unsigned long long ticks = 0;
        Nanoseconds clock = 0;
        int status = 0;
        words >> what >> task >> run.run_id >> run.attempt >> pid >> ticks >> clock >> status;
        auto& runs = ledger.runs[task];
        if (!words) {
            ledger.faults.push_back("the ledger has the torn line: " + line);
        } else if (what == "begin") {
            run.begin = clock;
            runs.push_back(run);
        } else if (what == "end" && !runs.empty() && runs.back().run_id == run.run_id &&
                   !runs.back().status) {
            runs.back().end = clock;
            runs.back().status = status;
        } else {
            // An overlap, or an end of a run that did not begin or that another run came between.
            ledger.faults.push_back("the ledger says: " + line);
        }
    }
    return ledger;
}

}  // namespace ralph::chaos
