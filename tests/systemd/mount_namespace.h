// What the boxes stand on: a mount namespace of this process alone. Whatever is mounted or written there is
// gone with the process, however it ends.
#pragma once

#include <string>

namespace ralph::tests {

// Where the disks of the boxes lie.
inline const std::string boxes_folder = "/run/ralph-boxes";

// To be called once, before there is a second thread. From then on /run is empty, and TMPDIR names an empty
// folder that is neither /tmp nor in a home, so that a service which is protected from those still sees the
// test's project. Says why a systemd cannot be booted here; empty if it can.
[[nodiscard]] std::string enter_mount_namespace();

}  // namespace ralph::tests
