// The log of a step's output.
#pragma once

#include <string>
#include <string_view>

namespace ralph::shim {

constexpr int log_directory = 5;  // the inherited descriptor

// At the limit the log is renamed to NAME.1, replacing the older part, and begun anew, so that the end of the
// output is always there. What cannot be written is dropped and counted: a full disk stops no worker.
class Log {
  public:
    Log(std::string name, long long limit);
    void write(std::string_view text);

  private:
    void open_file();

    std::string name_;
    long long limit_;
    long long size_ = 0;
    long long dropped_ = 0;
    int fd_ = -1;
};

}  // namespace ralph::shim
