#include "daemon/store/expiry_notes.h"

#include <utility>

#include "core/base/jsonc.h"
#include "daemon/os/files.h"
#include "daemon/os/identity.h"

namespace ralph::daemon {
namespace {

std::string_view name_of(Kept kind) {
    switch (kind) {
        case Kept::records:
            return "records";
        case Kept::refs:
            return "kept";
        case Kept::workspaces:
            return "set-aside";
    }
    return "";
}

}  // namespace

core::ExpiryNotes load_expiry_notes(const Paths& paths, Kept kind, core::Moment now) {
    const std::string path = paths.expired(name_of(kind));
    auto text = read_file(path);
    if (!text || !*text) {
        return {};
    }
    const auto document = core::JsonDocument::parse(std::move(**text), path);
    auto notes = document ? core::read_expiry_notes(*document, now, boot_id())
                          : core::Result<core::ExpiryNotes>{document.error()};
    return notes ? std::move(*notes) : core::ExpiryNotes{};
}

core::Result<void> save_expiry_notes(const Paths& paths, Kept kind, const core::ExpiryNotes& notes,
                                     core::Moment now) {
    TRY(make_directories(paths.parallel()));
    return write_file_durably(paths.expired(name_of(kind)), core::expiry_notes_text(notes, now, boot_id()));
}

}  // namespace ralph::daemon
