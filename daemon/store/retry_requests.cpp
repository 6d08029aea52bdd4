#include "daemon/store/retry_requests.h"

#include "core/queue/queue_validation.h"

namespace ralph::daemon {
namespace {

std::string request_of(const Paths& paths, const std::string& task_id) {
    return paths.retry_requests() + "/" + task_id;
}

}  // namespace

Result<void> request_retry(const Paths& paths, const std::string& task_id) {
    auto made = make_directories(paths.retry_requests());
    return made ? write_file_durably(request_of(paths, task_id), "") : made;
}

Result<std::vector<std::string>> requested_retries(const Paths& paths) {
    auto names = list_directory(paths.retry_requests());
    if (names) {
        std::erase_if(*names, [](const std::string& name) {
            return !core::is_safe_task_id(name) || name.find(partial_suffix) != std::string::npos;
        });
    }
    return names;
}

Result<void> forget_retry_request(const Paths& paths, const std::string& task_id) {
    return remove_file(request_of(paths, task_id));
}

}  // namespace ralph::daemon
