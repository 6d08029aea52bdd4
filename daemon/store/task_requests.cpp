#include "daemon/store/task_requests.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/queue/queue_validation.h"
#include "daemon/os/random.h"

namespace ralph::daemon {

Result<void> make_request(const std::string& folder, const std::string& task_id) {
    TRY(make_directories(folder));
    return write_file_durably(fmt::format("{}/{}~{:016x}", folder, task_id, random_number()), "");
}

std::string_view requested_task(std::string_view file_name) {
    const std::string_view task_id = file_name.substr(0, file_name.find('~'));
    return core::is_safe_task_id(task_id) && file_name.find(partial_suffix) == std::string_view::npos
               ? task_id
               : std::string_view{};
}

Result<std::vector<std::string>> list_requests(const std::string& folder) {
    auto names = list_directory(folder);
    if (names) {
        std::erase_if(*names, [](const std::string& name) { return requested_task(name).empty(); });
    }
    return names;
}

Result<std::vector<std::string>> requested_tasks(const std::string& folder) {
    auto names = list_requests(folder);
    if (names) {
        for (std::string& name : *names) {
            name.resize(requested_task(name).size());
        }
        std::sort(names->begin(), names->end());
        names->erase(std::unique(names->begin(), names->end()), names->end());
    }
    return names;
}

Result<void> forget_request(const std::string& folder, const std::string& file_name) {
    return remove_file(folder + "/" + file_name);
}

}  // namespace ralph::daemon
