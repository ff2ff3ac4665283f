#include "stutter.hpp"

#include "tempest/wire/codec.hpp"

namespace tempest::sim {

SharedBytes Stutter::add_to(const SharedBytes& frame) {
  const auto type = wire::peek_type(frame.view());
  wire::DataHeader header;
  std::string_view body;
  if (!type || *type != wire::FrameType::data || !wire::decode(frame.view(), header, body) ||
      header.kind != wire::BodyKind::results || !wire::decode(body, results_)) {
    return frame;
  }
  Session& session = sessions_[header.session];
  // What is sent again says what it said.
  if (header.sequence <= session.last_sent) return frame;
  session.last_sent = header.sequence;
  const std::size_t own = results_.items.size();
  for (int i = 0; i < 3 && !session.said.empty(); ++i) {
    const Said& said = session.said[random_.below(session.said.size())];
    results_.items.push_back({said.id, said.status, {}, 0, 0, 0});
  }
  for (std::size_t i = 0; i < own; ++i) {
    session.said.push_back({results_.items[i].id, results_.items[i].status});
  }
  std::string text;
  wire::begin_data(header.kind, text);
  wire::encode(results_, text);
  wire::finish_data(header, text);
  return SharedBytes(std::move(text));
}

}  // namespace tempest::sim
