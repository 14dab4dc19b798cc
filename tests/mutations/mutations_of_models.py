"""Mistakes in what is learnt: labels, modes, gradients, adapters, what is exported."""

from mutation import Mutation as M

VIT = "rococap/models/vit_gpt2.py"
BASE = "rococap/models/base.py"
NETWORK = "rococap/models/network.py"
MODULE = "rococap/training/module.py"
OPTIM = "rococap/training/optim.py"
TRAIN = "rococap/training/train.py"
LORA = "rococap/models/lora.py"
PROCESSOR = "rococap/models/processor.py"
AUGMENT = "rococap/training/augment.py"
NORMALISING = '{"scale": self.settings.scale, "mean": self.settings.mean, "std": self.settings.std}'
HANG = "models/test_conformance.py -kfeatures_hang"
SHIFTED = "input_ids=torch.cat([start, input_ids[:, :-1]], dim=1),"
FACTOR = "_NOMINAL_TOKENS * self.trainer.accumulate_grad_batches * self.trainer.world_size / tokens"

MODELS = [
    M("labels not shifted", VIT, SHIFTED, "input_ids=input_ids,", "models/test_vit_gpt2.py"),
    M(
        "an image that stands in counts",
        MODULE,
        "(loss, tokens) if batch.ids else (loss * 0, tokens * 0)",
        "(loss, tokens)",
        "training/test_processes.py",
    ),
    M(
        "labels shifted twice",
        VIT,
        SHIFTED,
        "input_ids=torch.cat([start, start, input_ids[:, :-2]], dim=1),",
        "models/test_vit_gpt2.py",
    ),
    M(
        "end token masked",
        VIT,
        "real = attention_mask.bool()",
        "real = attention_mask.bool() & (input_ids != self.processor.pad_token_id)",
        "models/test_vit_gpt2.py training/test_module.py",
    ),
    M(
        "no end token",
        PROCESSOR,
        "return [*kept, self.end_token_id], len(kept) < len(ids)",
        "return kept, len(kept) < len(ids)",
        "models/test_vit_gpt2.py models/test_tiny.py",
    ),
    M(
        "a caption longer than its limit",
        PROCESSOR,
        "ids[: min(limit, self.max_positions) - 1]",
        "ids[: min(limit, self.max_positions)]",
        "models/test_vit_gpt2.py",
    ),
    M(
        "padding counts in the loss",
        VIT,
        "real = attention_mask.bool()",
        "real = torch.ones_like(attention_mask).bool()",
        "models/test_vit_gpt2.py training/test_module.py",
    ),
    M(
        "frozen tower in train mode",
        NETWORK,
        "module.training = False",
        "pass",
        "models/test_vit_gpt2.py training/test_module.py",
    ),
    M(
        "tower trains though frozen",
        LORA,
        "parameter.requires_grad_(train_vision_tower)",
        "parameter.requires_grad_(True)",
        "models/test_conformance.py -kfull_fine",
    ),
    M(
        "frozen random weights pass the audit",
        "rococap/models/audit.py",
        "frozen = sorted(captioner.new - trains)",
        "frozen = sorted(set() & trains)",
        "models/test_vit_gpt2.py",
    ),
    M(
        "what is new stays frozen under LoRA",
        LORA,
        "modules_to_save=whole or None",
        "modules_to_save=None",
        "models/test_vit_gpt2.py models/test_quantised.py",
    ),
    M(
        "LoRA scaled by another factor",
        LORA,
        "lora_alpha=2 * rank if alpha is None else alpha",
        "lora_alpha=rank if alpha is None else alpha",
        "models/test_vit_gpt2.py",
    ),
    M(
        "gradient without the number of processes",
        MODULE,
        FACTOR,
        FACTOR.replace(" * self.trainer.world_size", ""),
        "training/test_processes.py",
    ),
    M(
        "gradient without the number of micro-batches",
        MODULE,
        FACTOR,
        FACTOR.replace(" * self.trainer.accumulate_grad_batches", ""),
        "training/test_module.py",
    ),
    M(
        "tokens of one process only",
        MODULE,
        'self.trainer.strategy.reduce(self.step_tokens, reduce_op="sum")',
        "self.step_tokens * self.trainer.world_size",
        "training/test_processes.py",
    ),
    M(
        "each micro-batch counts the same",
        MODULE,
        "scaled: Tensor = loss / _NOMINAL_TOKENS",
        "scaled: Tensor = loss / tokens",
        "training/test_module.py",
    ),
    M(
        "dropout not by epoch",
        MODULE,
        "[self.seed, self.current_epoch, batch_idx, self.global_rank]",
        "[self.seed, batch_idx, self.global_rank]",
        "training/test_processes.py",
    ),
    M(
        "one dropout for all processes",
        MODULE,
        "[self.seed, self.current_epoch, batch_idx, self.global_rank]",
        "[self.seed, self.current_epoch, batch_idx, 0]",
        "training/test_processes.py",
    ),
    M(
        "saved before the average is set",
        MODULE,
        "        set_mode(self.trainer.optimizers, training=False)  # before a callback saves the weights",
        "        pass",
        "training/test_optimizers.py",
    ),
    M(
        "trains on the average",
        MODULE,
        "        set_mode(self.trainer.optimizers, training=True)",
        "        pass",
        "training/test_optimizers.py",
    ),
    M(
        "validation counts batches the same",
        MODULE,
        "self.val_loss.update(loss / tokens.clamp(min=1), tokens)",
        "self.val_loss.update(loss / tokens.clamp(min=1))",
        "training/test_module.py",
    ),
    M(
        "vectors are decayed",
        OPTIM,
        '{"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},',
        '{"params": [p for p in trainable if p.ndim <= 1]},',
        "training/test_optimizers.py training/test_optim.py",
    ),
    M(
        "no warm-up",
        OPTIM,
        "get_linear_schedule_with_warmup(optimizer, round(warmup * total_steps), total_steps)",
        "get_linear_schedule_with_warmup(optimizer, 0, total_steps)",
        "training/test_optim.py",
    ),
    M(
        "trains in eval mode",
        TRAIN,
        "    captioner.train()  # where features were just encoded it is in eval mode, and Lightning would leave it there\n",
        "",
        "training/test_run.py -kjust_encoded",
    ),
    M(
        "workers begin with the first epoch's order where a run goes on",
        "rococap/data/datamodule.py",
        "sampler.go_on(*self._from)",
        "sampler.go_on(0, 0)",
        "training/test_resume.py",
    ),
    M(
        "batches that are done come again",
        "rococap/data/sampler.py",
        "return self._from[1] if self.epoch == self._from[0] else 0",
        "return 0",
        "training/test_resume.py",
    ),
    M(
        "the loss of the batches before a stop is forgotten",
        MODULE,
        'if checkpoint.get("batches"):',
        "if False:",
        "training/test_resume.py",
    ),
    M(
        "a changed checkpoint is read",
        "rococap/runs/checkpoints.py",
        "damaged = archive.testzip()",
        "damaged = None",
        "runs/test_digests.py",
    ),
    M(
        "a changed file is read",
        "rococap/runs/folder.py",
        "digest(file) not in known",
        "False",
        "runs/test_digests.py",
    ),
    M(
        "a run does not go on",
        "rococap/training/trainer.py",
        "ckpt_path=folder.last_checkpoint(loudly=True)",
        "ckpt_path=None",
        "training/test_run.py -kstopped",
    ),
    M(
        "the last weights, not the best",
        TRAIN,
        "    load_best(captioner, folder)\n",
        "",
        "training/test_run.py -kvalidated",
    ),
    M(
        "a checkpoint of another recipe loads",
        "rococap/models/mismatch.py",
        "if own.keys() != given.keys():",
        "if not own.keys() & given.keys():",
        "models/test_mismatch.py",
    ),
    M(
        "pooling left out of an export",
        VIT,
        'self.opening_code = pooling_code("encoder", grid, self.grid)',
        'self.opening_code = ""',
        "models/test_export.py",
    ),
    M(
        "class token in the heat map",
        VIT,
        "maps[:, :, -self.grid[0] * self.grid[1] :]",
        "maps[:, :, : self.grid[0] * self.grid[1]]",
        "report/test_attention.py models/test_vit_gpt2.py",
    ),
    M(
        "augmentation mirrors",
        AUGMENT,
        "torch.stack([cos, -sin * height / width",
        "torch.stack([-cos, -sin * height / width",
        "training/test_augment.py",
    ),
    M(
        "rotation of a picture that is not square",
        AUGMENT,
        "-sin * height / width",
        "-sin",
        "training/test_augment.py",
    ),
    *(
        M(f"features key without {what}", BASE, NORMALISING, without, HANG)
        for what, without in (
            ("scale", NORMALISING.replace('"scale": self.settings.scale, ', "")),
            ("mean", NORMALISING.replace('"mean": self.settings.mean, ', "")),
            ("std", NORMALISING.replace(', "std": self.settings.std', "")),
        )
    ),
    M("features key without positions", BASE, ', "grid": self.grid}', "}", HANG),
    M("features key without the config", BASE, '"config": self.vision_config, ', "", HANG),
    M("features key without the architecture", BASE, '"architecture": type(self).__name__, ', "", HANG),
    M(
        "tower's weights not in its digest",
        NETWORK,
        "            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)\n",
        "",
        "training/test_module.py",
    ),
]
