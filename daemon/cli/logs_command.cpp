// logs: what the steps of a task, or of all tasks, have written; and what they write, as they write it.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <map>

#include "core/base/shown_text.h"
#include "core/queue/queue_validation.h"
#include "daemon/cli/common.h"
#include "daemon/os/file_descriptor.h"
#include "daemon/os/files.h"
#include "daemon/supervisor/loop.h"
#include "daemon/supervisor/watcher.h"

namespace ralph::daemon {
namespace {

constexpr std::string_view suffix = ".log";
constexpr std::string_view ours = "==> ";  // lines of ours in a log begin so
constexpr std::size_t longest_unended_line = std::size_t{64} << 10U;
constexpr std::size_t most_read_at_once = std::size_t{1} << 20U;

// Lets the lines through that are asked for: a step begins with "==> TASK STEP run N attempt M TIME".
class Filter {
  public:
    explicit Filter(const LogsArguments& arguments) : arguments_(arguments) {}

    [[nodiscard]] bool lets_through(std::string_view line) {
        if (arguments_.step.empty() && arguments_.attempt == 0) {
            return true;
        }
        std::vector<std::string_view> words;
        for (std::string_view rest = line; line.starts_with(ours) && !rest.empty();) {
            const std::size_t end = rest.find(' ');
            words.push_back(rest.substr(0, end));
            rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        }
        if (words.size() == 8 && words[3] == "run" && words[5] == "attempt") {
            std::uint32_t attempt = 0;
            std::from_chars(words[6].data(), words[6].data() + words[6].size(), attempt);
            is_wanted_ = (arguments_.step.empty() || words[2] == arguments_.step) &&
                         (arguments_.attempt == 0 || attempt == arguments_.attempt);
        }
        return is_wanted_;
    }

  private:
    const LogsArguments& arguments_;
    bool is_wanted_ = false;
};

// One log, read on from where it was read to. A log that has grown too large is renamed, and a new one begun.
class Log {
  public:
    Log(const std::string& folder, const std::string& name, std::string prefix, Filter filter)
        : path_(folder + "/" + name), prefix_(std::move(prefix)), filter_(filter) {}

    void skip_what_is_there() {
        reopen_if_replaced();
        if (file_) {
            static_cast<void>(::lseek(file_.get(), 0, SEEK_END));
        }
    }

    [[nodiscard]] const Filter& filter() const { return filter_; }

    // Why it could not be read to its end.
    [[nodiscard]] const std::optional<Error>& fault() const { return fault_; }

    // What is left at the end of a log that is not read on: a line that did not end.
    [[nodiscard]] std::string rest() {
        std::string out;
        if (!unended_.empty()) {
            add_line(unended_, out);
            unended_.clear();
        }
        return out;
    }

    // The lines that came, at most so many bytes of them; empty if there are none.
    [[nodiscard]] std::string read_on() {
        std::string out = read_lines();
        if (out.empty() && reopen_if_replaced()) {
            out = read_lines();
        }
        return out;
    }

  private:
    [[nodiscard]] std::string read_lines() {
        std::string out;
        std::vector<char> buffer(std::size_t{64} << 10U);
        while (file_ && out.size() < most_read_at_once) {
            const ssize_t got = ::read(file_.get(), buffer.data(), buffer.size());
            if (got <= 0) {
                fault_ = got < 0 ? std::optional(system_error("read", path_, errno)) : std::nullopt;
                break;
            }
            unended_.append(buffer.data(), static_cast<std::size_t>(got));
            take_lines(out);
        }
        return out;
    }

    void take_lines(std::string& out) {
        std::size_t begin = 0;
        std::size_t end = 0;
        while ((end = unended_.find('\n', begin)) != std::string::npos) {
            add_line(std::string_view(unended_).substr(begin, end - begin), out);
            begin = end + 1;
        }
        unended_.erase(0, begin);
        if (unended_.size() > longest_unended_line) {
            add_line(unended_, out);
            unended_.clear();
        }
    }

    void add_line(std::string_view line, std::string& out) {
        if (filter_.lets_through(line)) {
            out += prefix_;
            out += line;
            out += '\n';
        }
    }

    // Whether another file is read from now on.
    bool reopen_if_replaced() {
        FileDescriptor now(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
        struct stat there {};
        struct stat known {};
        if (!now && errno != ENOENT) {
            fault_ = system_error("open", path_, errno);
        }
        if (!now || ::fstat(now.get(), &there) != 0 || !S_ISREG(there.st_mode)) {
            return false;
        }
        if (file_ && ::fstat(file_.get(), &known) == 0 && known.st_ino == there.st_ino &&
            known.st_dev == there.st_dev) {
            return false;
        }
        file_ = std::move(now);
        return true;
    }

    std::string path_;
    std::string prefix_;
    Filter filter_;
    FileDescriptor file_;
    std::string unended_;
    std::optional<Error> fault_;
};

[[nodiscard]] std::string last_lines(std::string text, std::size_t number) {
    std::size_t begin = text.size();
    for (std::size_t i = 0; i <= number; ++i) {
        if (begin == 0) {
            return text;
        }
        begin = text.rfind('\n', begin - 1);
        if (begin == std::string::npos) {
            return text;
        }
    }
    return text.substr(begin + 1);
}

class Follower {
  public:
    Follower(const Paths& paths, const LogsArguments& arguments) : paths_(paths), arguments_(arguments) {}

    // What is there of one task, and the log to read on from.
    [[nodiscard]] int print_one() {
        const std::string name = arguments_.task_id + std::string(suffix);
        Log older(paths_.logs(), name + ".1", {}, Filter(arguments_));
        std::string tail;
        int printed = take(older, tail, true);
        Log& present =
            logs_.try_emplace(name, paths_.logs(), name, std::string{}, older.filter()).first->second;
        printed = printed != 0 ? printed : take(present, tail, !arguments_.follow);
        return printed != 0 ? printed : print(tail);
    }

    [[nodiscard]] int follow() {
        loop_.watch_signals({SIGINT, SIGTERM}, [this](int signal) { end(128 + signal); });
        if (arguments_.all) {
            for (const std::string& name : names()) {
                log_of(name).skip_what_is_there();
            }
        }
        watcher_.start(
            {paths_.logs()},
            [this](const std::string&, std::string_view name) {
                name.empty() ? read_all_on() : read_on(std::string(name));
            },
            Watcher::Writes::each);
        read_all_on();
        loop_.run();
        return exit_code_;
    }

  private:
    // Prints it all, or adds it to the last lines. `is_end`: nothing of it is read later.
    [[nodiscard]] int take(Log& log, std::string& tail, bool is_end) const {
        const auto next = [&log, is_end] {
            std::string text = log.read_on();
            return text.empty() && is_end ? log.rest() : text;
        };
        for (std::string text = next(); !text.empty(); text = next()) {
            if (arguments_.tail) {
                tail = last_lines(tail + text, *arguments_.tail);
            } else if (const int printed = print(text); printed != 0) {
                return printed;
            }
        }
        return log.fault() ? report_error(*log.fault()) : 0;
    }

    [[nodiscard]] std::vector<std::string> names() const {
        if (!arguments_.all) {
            return {arguments_.task_id + std::string(suffix)};
        }
        auto found = list_directory(paths_.logs());
        std::vector<std::string> logs = found ? std::move(*found) : std::vector<std::string>{};
        std::erase_if(logs, [](const std::string& name) { return !name.ends_with(suffix); });
        return logs;
    }

    [[nodiscard]] Log& log_of(const std::string& name) {
        return logs_
            .try_emplace(name, paths_.logs(), name, name.substr(0, name.size() - suffix.size()) + " | ",
                         Filter(arguments_))
            .first->second;
    }

    void read_all_on() {
        for (const std::string& each : names()) {
            read_on(each);
        }
    }

    void read_on(const std::string& name) {
        if (!name.ends_with(suffix) ||
            (!arguments_.all && name != arguments_.task_id + std::string(suffix))) {
            return;
        }
        Log& log = log_of(name);
        for (std::string text = log.read_on(); !text.empty(); text = log.read_on()) {
            if (const int printed = print(text); printed != 0) {
                end(printed);
                return;
            }
        }
    }

    void end(int exit_code) {
        exit_code_ = exit_code;
        loop_.stop();
    }

    const Paths& paths_;
    const LogsArguments& arguments_;
    std::map<std::string, Log> logs_;
    Loop loop_;
    Watcher watcher_{loop_};
    int exit_code_ = 0;
};

}  // namespace

int show_logs(const CommonArguments& common, const LogsArguments& arguments) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    if (arguments.all ? !arguments.follow : !core::is_safe_task_id(arguments.task_id)) {
        return report_error(
            arguments.all || arguments.task_id.empty()
                ? Error{"no task is named", "`ralph logs TASK`, or `ralph logs --all -f`"}
                : Error{fmt::format("there is no task {}", core::printable(arguments.task_id)),
                        "see `ralph queue list`"});
    }
    if (!arguments.all) {
        const auto is_there = is_regular_file_there(settings->paths.log(arguments.task_id));
        if (!is_there || (!*is_there && !arguments.follow)) {
            return report_error(is_there ? Error{fmt::format("{} has written nothing yet", arguments.task_id),
                                                 fmt::format("see `ralph why {}`", arguments.task_id)}
                                         : is_there.error());
        }
    }
    Follower follower(settings->paths, arguments);
    const int printed = arguments.all ? 0 : follower.print_one();
    return printed != 0 || !arguments.follow ? printed : follower.follow();
}

}  // namespace ralph::daemon
