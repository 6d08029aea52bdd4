#include "daemon/os/host.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include "daemon/os/files.h"

namespace ralph::daemon {
namespace {

// The number behind the first place where `key` stands.
template <class T>
std::optional<T> number_after(std::string_view text, std::string_view key) {
    const std::size_t at = text.find(key);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    text.remove_prefix(at + key.size());
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    T value{};
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    return problem == std::errc{} ? std::optional(value) : std::nullopt;
}

std::string content_of(const char* path) {
    const auto text = read_file(path, std::size_t{1} << 20U);
    return text && *text ? **text : std::string{};
}

}  // namespace

core::HostState measure_host(const std::string& folder) {
    core::HostState host;
    if (const auto kibibytes = number_after<std::uint64_t>(content_of("/proc/meminfo"), "MemAvailable:")) {
        host.available_memory = *kibibytes << 10U;
    }
    const std::string pressure = content_of("/proc/pressure/memory");
    const std::size_t full = pressure.find("full ");
    if (full != std::string::npos) {
        host.memory_stall_percent = number_after<double>(std::string_view(pressure).substr(full), "avg10=");
    }
    struct statvfs info {};
    if (::statvfs(folder.c_str(), &info) == 0) {
        host.free_disk = static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
    }
    return host;
}

}  // namespace ralph::daemon
