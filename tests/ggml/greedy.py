"""What llama.cpp alone thinks of a text that was made greedily."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from llamaedge_host.ggml.llama.library import llama


class Greedy:
    """A llama context of one sequence on the model at ``path``, of ``cells`` tokens."""

    def __init__(self, path: Path, cells: int) -> None:
        asked = llama.llama_model_default_params()
        self._model = llama.llama_model_load_from_file(str(path).encode(), asked)
        self._size = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self._model))
        context = llama.llama_context_default_params()
        context.n_ctx = context.n_batch = context.n_ubatch = cells
        context.n_threads = context.n_threads_batch = 1
        self._context = llama.llama_init_from_model(self._model, context)
        self._batch = llama.llama_batch_init(cells, 0, 1)

    def shortfall(self, tokens: list[int], prompt: int) -> npt.NDArray[np.float32]:
        """How far the logit of each token after the first ``prompt`` is below the best one.

        Each is given all tokens before it, so a tie that went the other way costs one step only.
        """
        llama.llama_memory_clear(llama.llama_get_memory(self._context), True)
        for row, token in enumerate(tokens):
            self._batch.token[row], self._batch.pos[row] = token, row
            self._batch.n_seq_id[row], self._batch.seq_id[row][0] = 1, 0
            self._batch.logits[row] = True
        self._batch.n_tokens = len(tokens)
        assert llama.llama_decode(self._context, self._batch) == 0
        logits = np.ctypeslib.as_array(
            llama.llama_get_logits(self._context), (len(tokens), self._size)
        )[prompt - 1 : -1]
        made = np.take_along_axis(logits, np.array(tokens[prompt:])[:, None], axis=1)[:, 0]
        return np.asarray(logits.max(axis=1) - made)

    def close(self) -> None:
        llama.llama_batch_free(self._batch)
        llama.llama_free(self._context)
        llama.llama_model_free(self._model)
