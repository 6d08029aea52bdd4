#include <fmt/format.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "daemon/service/service_manager.h"

namespace ralph::daemon {
namespace {

using core::Error;

constexpr std::uint64_t patience_microseconds = 5'000'000;
constexpr const char* manager_name = "org.freedesktop.systemd1";
constexpr const char* manager_interface = "org.freedesktop.systemd1.Manager";

struct CloseBus {
    void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
};
struct EndMessage {
    void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
struct Free {
    void operator()(char* text) const {
        std::free(text);
    }  // NOLINT(cppcoreguidelines-no-malloc): of libsystemd
};
using Bus = std::unique_ptr<sd_bus, CloseBus>;
using Message = std::unique_ptr<sd_bus_message, EndMessage>;
using Text = std::unique_ptr<char, Free>;

Error failure(const char* what, int code) {
    return Error{fmt::format("{}: {}", what, std::strerror(-code))};
}

struct Unit {
    std::string name;
    bool is_users = false;  // of the user's manager
};

Result<Unit> own_unit() {
    char* name = nullptr;
    if (sd_pid_get_user_unit(0, &name) >= 0) {
        return Unit{Text(name).get(), true};
    }
    if (const int code = sd_pid_get_unit(0, &name); code < 0) {
        return failure("the unit of this process cannot be found", code);
    }
    return Unit{Text(name).get(), false};
}

// The manager's own socket serves root and the user's own manager even where no bus runs.
Result<Bus> connect(const Unit& unit) {
    sd_bus* raw = nullptr;
    const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
    const std::string folder = unit.is_users ? std::string(runtime != nullptr ? runtime : "") : "/run";
    if (::access((folder + "/systemd/private").c_str(), W_OK) == 0 && sd_bus_new(&raw) >= 0) {
        Bus bus(raw);
        const std::string address = "unix:path=" + folder + "/systemd/private";
        if (sd_bus_set_address(bus.get(), address.c_str()) >= 0 && sd_bus_start(bus.get()) >= 0) {
            return bus;
        }
    }
    const int code = unit.is_users ? sd_bus_open_user(&raw) : sd_bus_open_system(&raw);
    if (code < 0) {
        return failure("the bus cannot be reached", code);
    }
    return Bus(raw);
}

Result<std::string> text_property(sd_bus* bus, const std::string& path, const char* interface,
                                  const char* property) {
    char* text = nullptr;
    const int code =
        sd_bus_get_property_string(bus, manager_name, path.c_str(), interface, property, nullptr, &text);
    if (code < 0) {
        return failure(property, code);
    }
    return std::string(Text(text).get());
}

// The D-Bus path of the job that is pending for the unit; empty: there is none.
Result<std::string> job_path(sd_bus* bus, const Unit& unit) {
    char* raw_path = nullptr;
    if (const int code = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit.name.c_str(), &raw_path);
        code < 0) {
        return failure("sd_bus_path_encode", code);
    }
    const Text path(raw_path);
    sd_bus_message* raw_reply = nullptr;
    if (const int code = sd_bus_get_property(bus, manager_name, path.get(), "org.freedesktop.systemd1.Unit",
                                             "Job", nullptr, &raw_reply, "(uo)");
        code < 0) {
        return failure("Job", code);
    }
    const Message reply(raw_reply);
    std::uint32_t number = 0;
    const char* job = nullptr;
    if (const int code = sd_bus_message_read(reply.get(), "(uo)", &number, &job); code < 0) {
        return failure("Job", code);
    }
    return number == 0 ? std::string() : std::string(job);
}

class Systemd : public ServiceManager {
  public:
    void tell_ready() override { notify(fmt::format("READY=1\nMAINPID={}", ::getpid())); }
    void tell_status(const std::string& text) override { notify("STATUS=" + text); }
    void tell_reloading() override {
        struct timespec now {};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}",
                           std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000));
    }
    void tell_stopping() override { notify("STOPPING=1"); }
    void extend_timeout(std::chrono::milliseconds time) override {
        notify(fmt::format("EXTEND_TIMEOUT_USEC={}", std::chrono::microseconds(time).count()));
    }
    void ping_watchdog() override { notify("WATCHDOG=1"); }

    [[nodiscard]] std::chrono::microseconds watchdog_period() const override {
        std::uint64_t microseconds = 0;
        return sd_watchdog_enabled(0, &microseconds) > 0
                   ? std::chrono::microseconds(static_cast<std::int64_t>(microseconds))
                   : std::chrono::microseconds{0};
    }

    [[nodiscard]] Result<Job> pending_job() const override {
        TRY_ASSIGN(auto unit, own_unit());
        TRY_ASSIGN(auto bus, connect(unit));
        sd_bus_set_method_call_timeout(bus.get(), patience_microseconds);
        TRY_ASSIGN(auto state,
                   text_property(bus.get(), "/org/freedesktop/systemd1", manager_interface, "SystemState"));
        if (state == "stopping") {
            return Job::shutdown;
        }
        TRY_ASSIGN(auto path, job_path(bus.get(), unit));
        if (path.empty()) {
            return Job::none;
        }
        TRY_ASSIGN(auto type, text_property(bus.get(), path, "org.freedesktop.systemd1.Job", "JobType"));
        return type == "stop" ? Job::stop : type == "restart" ? Job::restart : Job::none;
    }

  private:
    // Whether it arrives is the manager's business: nothing here depends on it.
    static void notify(const std::string& text) { sd_notify(0, text.c_str()); }
};

}  // namespace

std::unique_ptr<ServiceManager> connect_service_manager() {
    return std::getenv("NOTIFY_SOCKET") != nullptr ? std::make_unique<Systemd>() : nullptr;
}

}  // namespace ralph::daemon
