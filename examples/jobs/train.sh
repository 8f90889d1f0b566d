#!/bin/bash
# A launch script of Megatron-LM: `dts check train.sh --cluster 4xdgx-h100`, `dts simulate train.sh --cluster ...`.
set -euo pipefail
export CUDA_DEVICE_MAX_CONNECTIONS=1

TP=${TP:-4}
PP=${PP:-2}
MICRO_BATCH=1
ACCUMULATION=16
NNODES=${NNODES:-4}
DP=$((NNODES * 8 / (TP * PP)))

MODEL=(
    --num-layers 32 --hidden-size 4096 --ffn-hidden-size 14336
    --num-attention-heads 32 --group-query-attention --num-query-groups 8
    --seq-length 8192 --max-position-embeddings 8192 --position-embedding-type rope
    --normalization RMSNorm --swiglu --disable-bias-linear --untie-embeddings-and-output-weights
    --attention-dropout 0.0 --hidden-dropout 0.0
)
TRAINING=(
    --micro-batch-size $MICRO_BATCH
    --global-batch-size $((DP * MICRO_BATCH * ACCUMULATION))
    --train-iters 100000 --lr 3e-4 --bf16 --use-distributed-optimizer
    --overlap-grad-reduce --overlap-param-gather
)
if [ "${RECOMPUTE:-none}" != none ]; then
    TRAINING+=(--recompute-granularity "$RECOMPUTE")
fi

torchrun --nproc_per_node 8 --nnodes "$NNODES" --node_rank "${NODE_RANK:-0}" --master_addr "${MASTER_ADDR:-localhost}" \
    pretrain_gpt.py "${MODEL[@]}" "${TRAINING[@]}" \
    --tensor-model-parallel-size "$TP" --pipeline-model-parallel-size "$PP" --sequence-parallel \
    --tokenizer-type HuggingFaceTokenizer --tokenizer-model meta-llama/Llama-3.1-8B --data-path "$DATA" # tokens
