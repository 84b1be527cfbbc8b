"""The runs of tools/reference_runs.py: what is varied, and from which base.

A case: name; task (train or distill); recipe; set, assignments on top; own, those that its base does not have; base, the run
it must differ from; eval, a list of (split, context, windows) done with the model it ends with.  As `teacher` or `init` a
recipe names a run: its model is meant; as @NAME in a list of teachers, too.  capture: the teacher's logits are captured
first, with these settings and all digits, and stand for it.
"""

CASES = []


def base(name, recipe, *assignments, task="train", eval=()):
    CASES.append(dict(name=name, base=None, task=task, recipe=recipe, set=list(assignments), own=[],
                      eval=[list(e) for e in eval]))


def vary(of, name, *assignments, recipe=None, eval=(), capture=None):
    """The base's recipe with other values."""
    b = next(c for c in CASES if c["name"] == of)
    CASES.append(dict(name=f"{of}-{name}", base=of, task=b["task"], recipe=recipe or b["recipe"],
                      set=b["set"] + list(assignments), own=list(assignments), eval=[list(e) for e in eval],
                      **({"capture": capture} if capture else {})))


base("gpt2", "gpt2.yaml", eval=[("test", 12, 0), ("validation", 12, 4), ("train", 20, 3), ("test", 0, 0)])
vary("gpt2", "seed", "seed=4")
vary("gpt2", "steps", "train.steps=7")
vary("gpt2", "tokens", "train.steps=", "train.tokens=210")
vary("gpt2", "batch", "train.batch=3")
vary("gpt2", "context", "train.context=9")
vary("gpt2", "accumulate", "train.accumulate=3")
vary("gpt2", "one-micro-batch", "train.accumulate=1")
vary("gpt2", "muon", "train.optimizer=muon")
vary("gpt2-muon", "momentum", "train.momentum=0.5")
vary("gpt2-muon", "muon_scale", "train.muon_scale=0.5")
vary("gpt2-muon", "weight_decay", "train.weight_decay=0.6")
vary("gpt2-muon", "untied", "model.tie_word_embeddings=false")
vary("gpt2", "lr", "train.lr=5e-3")
vary("gpt2", "lr-0", "train.lr=0")  # the initial values themselves
vary("gpt2", "constant", "train.schedule=constant")
vary("gpt2", "linear", "train.schedule=linear")
vary("gpt2", "warmup", "train.warmup=0.6")
vary("gpt2", "no-warmup", "train.warmup=0")
vary("gpt2", "floor", "train.floor=0.7")
vary("gpt2", "weight_decay", "train.weight_decay=0.6")
vary("gpt2", "no-weight_decay", "train.weight_decay=0")
vary("gpt2", "beta1", "train.beta1=0.5")
vary("gpt2", "beta2", "train.beta2=0.99")
vary("gpt2", "eps", "train.eps=1e-5")
vary("gpt2", "clip", "train.clip=0.1")  # at so large an eps a clipped step is a smaller step
vary("gpt2", "no-clip", "train.clip=0")
vary("gpt2", "eval_every", "train.eval_every=2")
vary("gpt2", "eval_windows", "train.eval_windows=2")
vary("gpt2", "all-eval_windows", "train.eval_windows=0")
vary("gpt2", "save_every", "train.save_every=5")
vary("gpt2", "keep", "train.keep=1")
vary("gpt2", "domains", "data.domains=[cc, aa]")
vary("gpt2", "weights", "data.weights=[2, 6, 4]")
vary("gpt2", "freeze", "freeze=[transformer.wpe.*, transformer.h.0.*]")
vary("gpt2", "init", recipe="init.yaml")
vary("gpt2", "defaults", "train.schedule=", "train.warmup=", "train.floor=", "train.weight_decay=", "train.beta1=",
     "train.beta2=", "train.clip=", "train.lr=", "train.eval_every=", "train.eval_windows=", "train.save_every=",
     "train.keep=", "train.accumulate=")
vary("gpt2", "resid_pdrop", "model.resid_pdrop=0.3")
vary("gpt2", "embd_pdrop", "model.embd_pdrop=0")
vary("gpt2", "initializer_range", "model.initializer_range=0.2")
vary("gpt2", "n_inner", "model.n_inner=20", "model.n_layer=3")
vary("gpt2", "gelu", "model.activation_function=gelu", "model.initializer_range=0.3")
vary("gpt2", "layer_norm_epsilon", "model.layer_norm_epsilon=1e-2")
vary("gpt2", "untied", "model.tie_word_embeddings=false", eval=[("validation", 16, 0)])

base("long", "long.yaml")
vary("long", "spike", "train.spike=0.18")

base("distil", "distil.yaml", task="distill", eval=[("test", 12, 0)])
vary("distil", "teacher", "distill.teacher=gpt2")
vary("distil", "loss", "distill.loss=reverse_kl")
vary("distil", "temperature", "distill.temperature=1")
vary("distil", "hot-reverse", "distill.loss=reverse_kl", "distill.temperature=3")
vary("distil", "soft_ce", "distill.loss=soft_ce")
vary("distil", "js", "distill.loss=js")
vary("distil", "skew_kl", "distill.loss=skew_kl")
vary("distil", "skew_reverse_kl", "distill.loss=skew_reverse_kl")
vary("distil-skew_kl", "skew", "distill.skew=0.4")
vary("distil-skew_reverse_kl", "skew", "distill.skew=0.6", "distill.temperature=3")
vary("distil", "alpha", "distill.alpha=0.8")
vary("distil", "imitation", "distill.alpha=0")
vary("distil", "anneal", "distill.alpha_rule=anneal")
vary("distil-anneal", "alpha_end", "distill.alpha_end=0.1")
vary("distil", "slopes", "distill.alpha_rule=slopes")
vary("distil", "alternating", "distill.schedule=alternating")
vary("distil-alternating", "scope", "distill.scope=micro_batch")
vary("distil", "longer", "train.steps=26", "train.lr=1e-3")  # adaptive rules have windows of 20
vary("distil-longer", "adaptive", "distill.alpha_rule=adaptive")
vary("distil-longer-adaptive", "scope", "distill.scope=micro_batch")
vary("distil-longer", "slopes", "distill.alpha_rule=slopes", "distill.scope=micro_batch")
vary("distil-longer", "alternating", "distill.schedule=alternating", "train.spike=1.5")
vary("distil-longer-adaptive-scope", "own", "distill.alpha_sees=own")
vary("distil", "gradient_norm", "distill.alpha_rule=gradient_norm")
vary("distil", "surprise", "distill.token_weight=surprise")
vary("distil", "teacher-weight", "distill.token_weight=teacher")
vary("distil-gradient_norm", "scope", "distill.scope=micro_batch")
vary("distil-gradient_norm-scope", "own", "distill.alpha_sees=own")
vary("distil-gradient_norm-scope-own", "surprise", "distill.token_weight=surprise")
vary("distil-loss", "warmup_steps", "distill.warmup_steps=3")
vary("distil-loss-warmup_steps", "warmup_loss", "distill.warmup_loss=js")
vary("distil", "teachers", "distill.teacher=", "distill.teachers=[{model: '@gpt2-gelu'}, {model: '@gpt2', weight: 0.3}]")
vary("distil-teachers", "weight", "distill.teacher=",
     "distill.teachers=[{model: '@gpt2-gelu'}, {model: '@gpt2', weight: 2}]")
vary("distil-teachers", "domains", "distill.teacher=",
     "distill.teachers=[{model: '@gpt2-gelu', domains: [aa, cc]}, {model: '@gpt2', domains: [cc, bb]}]")
vary("distil", "on_policy", "distill.on_policy=0.5")
vary("distil-on_policy", "prompt", "distill.on_policy_prompt=7")
vary("distil-on_policy", "reverse_kl", "distill.loss=reverse_kl")
vary("distil-on_policy", "alternating", "distill.schedule=alternating")
vary("distil", "windows", "train.windows=aligned")
vary("distil-windows", "captured", capture=dict(top_k=12))
vary("distil-windows-captured", "auto", "train.windows=auto", "train.steps=5", capture=dict(top_k=12))
vary("distil-windows-captured", "less", capture=dict(top_k=3))
vary("distil-windows-captured", "soft_ce", "distill.loss=soft_ce", capture=dict(top_k=12))
vary("distil-windows-captured", "reverse_kl", "distill.loss=reverse_kl", capture=dict(top_k=12))
vary("distil-windows-captured", "js", "distill.loss=js", capture=dict(top_k=12))
vary("distil", "defaults", "distill.loss=", "distill.temperature=", "distill.alpha=")

base("mixture", "mixture.yaml", eval=[("test", 12, 6)])
for key, value in dict(mutual_information=0, concentration=0.3, switch=0, z=0.1, attention=0, feed_forward=0.5).items():
    vary("mixture", key, f"losses.{key}={value}")
vary("mixture", "scope", "losses.scope=step")
vary("mixture", "mutual", "losses.mutual_distillation=500", "losses.scope=step")
vary("mixture-mutual", "alpha", "losses.mutual_distillation=-100")
for key, value in dict(end=0, form="kl", layers="[1]").items():
    vary("mixture-mutual", key, f"losses.mutual_{key}={value}")
vary("mixture-mutual-form", "temperature", "losses.mutual_temperature=0.02")
vary("mixture-mutual-form", "detach", "losses.mutual_detach=false")
for form in ("gated", "mixture", "centred"):
    vary("mixture-mutual", form, f"losses.mutual_form={form}")
for form in ("gated", "mixture"):
    vary(f"mixture-mutual-{form}", "through", "losses.mutual_detach=false", "model.k_mlp=3")
vary("mixture-mutual", "extra", "losses.mutual_extra=1")
vary("mixture-mutual-gated", "extra", "losses.mutual_extra=2", "losses.mutual_layers=[1]")
vary("mixture", "mutual-one", "losses.mutual_distillation=500", "losses.mutual_extra=1", "model.k_mlp=1")
vary("mixture", "mutual-alone", "losses.mutual_distillation=500", "model.k_mlp=3", recipe="own.yaml")
vary("mixture", "own-mi", recipe="own.yaml")
vary("mixture", "own-switch", "model.aux_loss_type=switch", recipe="own.yaml")
vary("mixture", "no-losses", "model.aux_loss_weight=0", recipe="own.yaml")
vary("mixture", "accumulate", "train.accumulate=1")
vary("mixture", "muon", "train.optimizer=muon")
vary("mixture", "moe_pdrop", "model.moe_pdrop=0")
vary("mixture", "embd_pdrop", "model.embd_pdrop=0")
vary("mixture", "resid_pdrop", "model.resid_pdrop=0.3")
vary("mixture", "sample_topk", "model.sample_topk=1")
vary("mixture", "renormalise", "model.renormalise_gates=true")
vary("mixture", "linear", "model.gate_type=linear")
vary("mixture", "gmm", "model.gate_type=gmm")
vary("mixture", "rms-swiglu", "model.norm=rms", "model.activation_function=swiglu")
vary("mixture", "softmax", "model.att_func=softmax", "model.n_head=2")
vary("mixture", "rope_theta", "model.att_func=softmax", "model.n_head=2", "model.rope_theta=3")
vary("mixture", "one-expert", "model.n_mlp_experts=1", "model.k_mlp=1")
vary("mixture", "pool_max", "train.pool_max=3")
vary("mixture-pool_max", "pool_min", "train.pool_min=3")
vary("mixture", "by_layer", "model.att_experts_by_layer=[3, 5]", "model.mlp_experts_by_layer=[7, 2]")

base("history", "history.yaml")
vary("history", "history", "train.history=5")
vary("history", "no-history", "train.history=0")
vary("history", "stretch", "train.stretch=3")
vary("history", "own-stretch", "train.stretch=0")
vary("history", "one-key", "model.n_head=1", "model.att_hidden=16")

vary("gpt2", "mix", "data.mix=turns")
vary("gpt2-mix", "weights", "data.weights=[1, 2, 3]")

base("trunks", "trunks.yaml")
vary("trunks", "untied", "model.tie_word_embeddings=false")
vary("trunks", "weights", "data.weights=[2, 1, 1]")
vary("trunks", "muon", "train.optimizer=muon")
vary("trunks", "modules", "model.modules=[cc, dd, aa]", "data.domains=[aa, cc]")
vary("trunks", "freeze", "freeze=[embed, trunks.bb.*]")
vary("trunks", "common", "model.common=true")
vary("trunks-common", "learned", "model.combine=learned")
vary("trunks-common", "common_dropout", "model.common_dropout=0.5")
vary("trunks-common", "mutual", "losses.mutual_distillation=3")
vary("trunks-common-mutual", "kl", "losses.mutual_form=kl")
vary("trunks-common-common_dropout", "mutual", "losses.mutual_distillation=3")
vary("trunks-common", "init_range", "model.initializer_range=0.05")

base("distil-trunks", "distil_trunks.yaml", task="distill")
vary("distil-trunks", "alternating", "distill.schedule=alternating")
vary("distil-trunks-alternating", "scope", "distill.scope=micro_batch")
vary("distil-trunks", "slopes", "distill.alpha_rule=slopes")

base("mixed-trunks", "mixed_trunks.yaml")
vary("mixed-trunks", "mutual", "losses.mutual_distillation=20")
vary("mixed-trunks", "scope", "losses.scope=micro_batch")

base("table", "table.yaml")
vary("table", "label", "table.label=colour")
vary("table", "ignore", "table.ignore=[y, u]")
vary("table", "categories", "table.categories=[size]")
vary("table", "scale", "table.scale=quantile")
vary("table", "no-scale", "table.scale=none")
vary("table", "validation", "table.validation=0.4")
vary("table", "test_share", "table.test_share=0.4")
vary("table", "split_seed", "table.split_seed=8")
vary("table", "rows", "table.rows=30")
vary("table", "epochs", "table.epochs=5")
vary("table", "evaluate", "table.evaluate=2")
vary("table", "no-evaluate", "table.evaluate=0", "train.eval_every=5")
vary("table", "switch", "losses.switch=0.3")
vary("table-switch", "mutual", "losses.mutual_distillation=0.5")
vary("table-switch", "expert_label", "losses.expert_label=0.6")
vary("table-switch-mutual", "extra", "losses.mutual_extra=1", "model.k=2")
vary("table", "gate_temperature", "model.gate_temperature=0.7")
vary("table", "mixes", "model.mixes=probabilities", "model.hidden_size=7")
base("table-saved", "table.yaml", "train.save_every=3")
vary("table-saved", "patience", "table.patience=1")
vary("table-saved-patience", "best", "table.best=loss")
base("numbers", "table.yaml", "task=regress", "table.label=y", "table.ignore=[kind]")
vary("numbers", "expert_label", "losses.expert_label=0.6")

PLANS = []


def plan(name, recipe, *assignments, task="train"):
    PLANS.append(dict(name=name, task=task, recipe=recipe, set=list(assignments)))


# Wide enough for products to be nearly all of the work: of biases and norms nobody keeps count.
WIDE = ("model.n_embd=96", "model.n_positions=64", "train.context=48")
plan("gpt2", "gpt2.yaml", *WIDE)
plan("gpt2/inner", "gpt2.yaml", *WIDE, "model.n_inner=64", "model.tie_word_embeddings=false", "train.accumulate=1",
     "train.steps=9")
plan("distil", "distil.yaml", "model.n_embd=32", "train.context=16", task="distill")  # a teacher no smaller
MIXED = ("model.n_embd=96", "model.att_hidden=64", "model.ffd_hidden=80", "model.gating_size=32", "train.context=48")
plan("mixture", "mixture.yaml", *MIXED)
plan("mixture/swiglu", "mixture.yaml", *MIXED, "model.activation_function=swiglu", "model.gate_type=linear",
     "model.k_mlp=3")
plan("history", "history.yaml", *MIXED, "train.history=96")
plan("trunks", "trunks.yaml", "model.trunk.n_embd=96", "train.context=20", "model.common=true")
