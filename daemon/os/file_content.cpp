#include "daemon/os/file_content.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/os/file_calls.h"

namespace ralph::daemon {

Result<void> write_all(int file, std::string_view content, const std::string& path) {
    while (!content.empty()) {
        const ssize_t written =
            retry_interrupted([&] { return file_calls::write(file, content.data(), content.size()); });
        if (written < 0) {
            return system_error("write", path, errno);
        }
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

Result<std::optional<std::string>> read_all(int file, const std::string& path, std::size_t limit) {
    file_calls::Status status;
    if (file_calls::status(file, status) != 0) {
        return system_error("stat", path, errno);
    }
    if (status.kind != file_calls::Kind::regular) {
        return Error{fmt::format("{}: is not a regular file", path)};
    }
    // Files of the kernel's say that they are empty.
    std::string content(std::max<std::size_t>(std::min<std::size_t>(status.size, limit), 4095) + 1, '\0');
    std::size_t filled = 0;
    while (true) {
        const ssize_t got = retry_interrupted(
            [&] { return file_calls::read(file, content.data() + filled, content.size() - filled); });
        if (got < 0) {
            return system_error("read", path, errno);
        }
        filled += static_cast<std::size_t>(got);
        if (filled > limit) {
            return Error{fmt::format("{}: is larger than {} bytes", path, limit)};
        }
        if (got == 0) {
            content.resize(filled);
            return std::optional<std::string>{std::move(content)};
        }
        if (filled == content.size()) {
            content.resize(2 * content.size());
        }
    }
}

}  // namespace ralph::daemon
