// The program `ralph`.
#include <fcntl.h>
#include <unistd.h>

#include <exception>

#include "daemon/cli/command_line.h"
#include "daemon/demo/demo.h"
#include "daemon/version.h"

// A file that we open must never become standard output or error because those were closed.
void fill_standard_descriptors() {
    int opened = 0;
    do {
        opened = ::open("/dev/null", O_RDWR);
    } while (opened >= 0 && opened <= STDERR_FILENO);
    ::close(opened);
}

int main(int argc, char** argv) {
    fill_standard_descriptors();
    try {
        return ralph::daemon::run_command_line(argc, argv, {RALPH_VERSION, ralph::daemon::demonstrate});
    } catch (const std::exception& error) {
        return ralph::daemon::report_error(ralph::core::Error{error.what()});
    }
}
