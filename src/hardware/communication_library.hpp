// Device memory that a collective library takes beside the framework's allocator: facts of its source, per era. Values
// and sources: catalog/libraries.yaml; what they make: memory/communicator_bytes.hpp. All 0: a library that takes none.
#pragma once

namespace dts {

struct CommunicationLibrary {
  // Of one connection between two ranks on one channel, by protocol.
  double simple_bytes = 0, ll_bytes = 0, ll128_bytes = 0;
  double granularity_bytes = 0;  // device allocations are multiples of it
  // Pool of sends (and one of receives) of point-to-point kernels: shared_steps chunks for each of their channels. The
  // chunk between domains, within a switched domain, and within another.
  double shared_steps = 0, network_chunk_bytes = 0, switch_chunk_bytes = 0, local_chunk_bytes = 0;
  // Reduction in the switch: reserved for each of its channels and each rank of the domain, both directions.
  double switch_buffer_bytes = 0;
  double point_to_point_Bps = 0;  // of the network, that one channel of a peer is to carry
  double ring_Bps = 0;            // of a ring within a domain
  double link_share = 0;          // of a link's datasheet rate that such rings may fill
  bool pool_of_sends = false;     // the pool of sends stands with the communicator; false: where a peer is elsewhere
  bool connects_on_use = true;    // an algorithm's buffers appear when it first runs; false: all with the communicator
};

}  // namespace dts
