// What systemd itself thinks of the unit.
#include <doctest/doctest.h>

#include "tests/systemd/service.h"

using namespace ralph::tests;

TEST_CASE("systemd-analyze verify finds nothing in the unit") {
    const Service service(2);
    const auto end = service.box.run({"systemd-analyze", "verify", "--recursive-errors=yes", "--man=no",
                                      "/etc/systemd/system/" + service.unit()});
    CAPTURE(end.output);
    CHECK(end.errors.empty());
    CHECK(end.succeeded());
}
