#include "tempest/runtime/node_loop.hpp"

#include "tempest/runtime/loop_driver.hpp"
#include "tempest/runtime/loop_member.hpp"

namespace tempest::runtime {

NodeLoop::NodeLoop(Transport& transport, NodeLoopOptions options)
    : member_(std::make_unique<LoopMember>(transport, std::move(options))) {}
NodeLoop::~NodeLoop() = default;

Result<void> NodeLoop::bind() {
  return member_->bind();
}
const std::string& NodeLoop::bound_endpoint() const {
  return member_->bound_endpoint();
}
void NodeLoop::wake() {
  member_->wake();
}
void NodeLoop::request_stop(bool at_once) {
  member_->request_stop(at_once);
}

int NodeLoop::run(Node& node) {
  const std::pair<NodeLoop*, Node*> alone(this, &node);
  run_together({&alone, 1}, [](std::size_t, int) {});
  return member_->exit_code();
}

void NodeLoop::run_together(std::span<const std::pair<NodeLoop*, Node*>> loops,
                            const std::function<void(std::size_t index, int exit_code)>& on_end) {
  std::vector<LoopMember*> members;
  for (const auto& [loop, node] : loops) {
    loop->member_->begin(*node);
    members.push_back(loop->member_.get());
  }
  std::make_shared<LoopDriver>(std::move(members), on_end)->run();
}

}  // namespace tempest::runtime
