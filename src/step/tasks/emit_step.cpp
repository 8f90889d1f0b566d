#include <utility>

#include "schedule/pass_ops.hpp"
#include "step/tasks/step_issuer.hpp"

namespace dts {

namespace {

// Emits every operation of the order as tasks.
class StepBuilder {
 public:
  StepBuilder(const StepPlan& plan, TaskSink& sink) : plan_(plan), placement_(plan.placement()), issuer_(plan, sink) {
    const auto slots = plan.stages.size() * static_cast<std::size_t>(plan.micro_batches);
    forward_in_.resize(slots, kNoTask), backward_in_.resize(slots, kNoTask);
    const auto ranks = static_cast<std::size_t>(placement_.pp);
    pair_.resize(ranks), exchanged_.resize(ranks);
  }

  std::vector<TaskInfo> build() && {
    walk_ops(plan_.order, placement_, plan_.micro_batches, plan_.blocking_p2p, [this](const PassOp& op) { emit(op); });
    issuer_.tail();
    return std::move(issuer_).finish();
  }

 private:
  // What feeds a pass.
  TaskId& arrival(bool forward, int stage, int micro_batch) {
    return (forward ? forward_in_
                    : backward_in_)[static_cast<std::size_t>(stage) * static_cast<std::size_t>(plan_.micro_batches) +
                                    static_cast<std::size_t>(micro_batch)];
  }

  void emit(const PassOp& op) {
    FewTasks& exchanged = exchanged_[static_cast<std::size_t>(op.rank)];
    switch (op.op) {
      case PassOpKind::Pass: return pass(op);
      case PassOpKind::Turn: arrival(op.forward, op.to, op.micro_batch) = issuer_.parallel().last(op.rank); return;
      case PassOpKind::Send: return transfer(op, FewTasks{issuer_.parallel().last(op.rank)});
      case PassOpKind::Meet: {  // starts when both ranks have come to it
        FewTasks& other = exchanged_[static_cast<std::size_t>(placement_.rank_of(op.to))];
        FewTasks after = exchanged;
        after.add(other);
        transfer(op, after);
        const FewTasks done{arrival(op.forward, op.to, op.micro_batch)};
        if (op.released.sender) exchanged = done;
        if (op.released.receiver) other = done;
        return;
      }
      case PassOpKind::Received:
        if (op.first) exchanged = {};
        exchanged.add(arrival(op.forward, op.to, op.micro_batch));
    }
  }

  // Both passes of a pair start when the inputs of both are there.
  void pass(const PassOp& op) {
    const auto rank = static_cast<std::size_t>(op.rank);
    const Pass& pass = plan_.order[rank][static_cast<std::size_t>(op.index)];
    FewTasks inputs;
    add_input(inputs, pass, op.stage);
    if (plan_.blocking_p2p) inputs.add(exchanged_[rank]);
    Pairing pair = std::exchange(pair_[rank], {});  // that this pass is the second of
    if (pass.with_next) {
      const Pass& partner = *(&pass + 1);
      pair = pair_[rank] = pairing(plan_, placement_, op.rank, pass, partner);
      add_input(inputs, partner, placement_.stage_of(op.rank, partner.chunk));
    }
    const TaskId done = issuer_.issue(issuer_.parallel().look(pass, op.rank, op.stage, pair), inputs);
    if (plan_.blocking_p2p) exchanged_[rank] = FewTasks{done};
    if (op.to >= 0) transfer(op, FewTasks{done});
  }

  void add_input(FewTasks& inputs, const Pass& pass, int stage) {
    if (pass.kind != PassKind::BackwardWeight)
      inputs.add(arrival(pass.kind == PassKind::Forward, stage, pass.micro_batch));
  }

  void transfer(const PassOp& op, const FewTasks& after) {
    const StageComm& comm = plan_.comm[static_cast<std::size_t>(op.stage)];
    const StreamKind stream = op.forward ? StreamKind::SendForward : StreamKind::SendBackward;
    arrival(op.forward, op.to, op.micro_batch) =
        issuer_.tasks().add({TaskKind::PipelineSend, stream, op.rank, op.stage, op.micro_batch, -1},
                            op.forward ? comm.send_forward_s : comm.send_backward_s, op.rank, after);
  }

  const StepPlan& plan_;
  StagePlacement placement_;
  StepIssuer issuer_;
  Tasks forward_in_, backward_in_;   // per virtual stage and micro-batch
  std::vector<Pairing> pair_;        // of the pass that follows, per pipeline rank
  std::vector<FewTasks> exchanged_;  // blocking transfers: what the rank's next operation waits for
};

}  // namespace

std::vector<TaskInfo> emit_step(const StepPlan& plan, TaskSink& sink) { return StepBuilder(plan, sink).build(); }

}  // namespace dts
