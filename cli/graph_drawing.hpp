#pragma once

#include <string>

#include "tempest/topology.hpp"

/// A topology's graph as text of some language. Each ends with a newline.
namespace tempest::cli {

/// Graphviz.
std::string draw_dot(const Topology& topology);
/// Mermaid, as Markdown viewers draw it.
std::string draw_mermaid(const Topology& topology);
/// A line for each task, ancestors first: for a terminal.
std::string draw_text(const Topology& topology);

}  // namespace tempest::cli
