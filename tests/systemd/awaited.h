// What is tested here and not there yet. Its tests are compiled, but are no part of ctest until it is: then
// the line goes. `systemd_tests --no-skip` runs them all the same.
#pragma once

namespace ralph::tests {

// The journal's fields.
inline constexpr bool awaits_log = true;

}  // namespace ralph::tests
