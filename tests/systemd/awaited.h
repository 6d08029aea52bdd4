// What is tested here and not there yet. Its tests are compiled, but are no part of ctest until it is: then
// the line goes. `systemd_tests --no-skip` runs them all the same.
#pragma once

namespace ralph::tests {

// Type=notify and a limit for crash loops: until then a drop-in has them.
inline constexpr bool awaits_units = true;
// The journal's fields.
inline constexpr bool awaits_log = true;

}  // namespace ralph::tests
