// What is tested here and not there yet. Its tests are compiled, but are no part of ctest until it is: then
// the line goes. `systemd_tests --no-skip` runs them all the same.
#pragma once

namespace ralph::tests {

inline constexpr bool awaits_runtime =
    true;  // READY=1, STATUS=, WATCHDOG=1, reload, stop and restart told apart
inline constexpr bool awaits_units = true;  // Type=notify, and a limit for crash loops
inline constexpr bool awaits_log = true;    // the journal's fields

}  // namespace ralph::tests
