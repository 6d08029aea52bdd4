#include "daemon/store/paths.h"

#include "daemon/os/files.h"

namespace ralph::daemon {

core::Result<Paths> paths_of(const std::string& root) {
    Paths paths{root};
    TRY_ASSIGN(const auto exists, is_there(paths.ralph()));
    const std::string other = root + "/" + std::string(cueloop_folder);
    TRY_ASSIGN(const auto is_cueloops, exists ? Result<bool>{false} : is_directory_there(other));
    if (is_cueloops) {
        paths.folder = cueloop_folder;
    }
    return paths;
}

}  // namespace ralph::daemon
