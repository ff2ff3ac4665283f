#include "cli/operator_node.hpp"
#include "shells.hpp"
#include "tempest/wire/codec.hpp"
#include "world.hpp"

namespace tempest::sim {

namespace {

/// What the first operator of a seed watches, and the second.
wire::Watch watch_of(const World& world, unsigned number) {
  wire::Watch watch;
  watch.id = static_cast<std::uint32_t>(world.scenario().seed) * 2 + number + 1;
  watch.topology = "sim";
  watch.every = 2;
  watch.per_second = 1'000;
  if (number > 0) {
    watch.kind = wire::Watch::Kind::tap;
    watch.task = world.scenario().topology.tasks.front().name;
    watch.side = wire::Watch::both;
  }
  return watch;
}

class OperatorShell final : public Shell {
 public:
  OperatorShell(World& world, Host& host, unsigned number)
      : node_({Role::operator_, host.name(), host.incarnation(), ""},
              {.brokers = world.broker_endpoints(),
               .says = wire::BodyKind::watch,
               .frame = wire::data_frame(watch_of(world, number)),
               .link = world.scenario().link,
               .seed = world.random().next()}) {}

  void start(TimePoint now, link::Effects& effects) override { node_.start(now, effects); }
  void receive(const link::FrameReceived& received, TimePoint now,
               link::Effects& effects) override {
    node_.receive(received, now, effects);
  }
  void turn(TimePoint now, link::Effects& effects) override { node_.turn(now, effects); }
  TimePoint next_turn() const override { return node_.next_turn(); }
  void stop(bool at_once, TimePoint now, link::Effects& effects) override {
    node_.stop(at_once, now, effects);
  }

 private:
  cli::OperatorNode node_;
};

}  // namespace

std::unique_ptr<Shell> make_operator_shell(World& world, Host& host, unsigned number) {
  return std::make_unique<OperatorShell>(world, host, number);
}

}  // namespace tempest::sim
