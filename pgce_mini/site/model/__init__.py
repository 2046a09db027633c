"""A language model in the page: the shipped tiny GPTs in plain JavaScript.

    write_model_page_assets(folder)      the script and the models' files
    fragment("tiny-gpts/")               the HTML that goes into a page, with the folder's address from there

Read `gpt.js` beside `pgce_mini.gpt.model`: one forward pass, for reading, writing and training. It is made of the
operations in `ops.js`, each with its gradient. `tokens.js` encodes, `reading.js` samples, `training.js` trains,
`engine.js` does all of it in a worker; `page.js` is what is seen. The scripts are no modules and use no `fetch`:
so the page also works from a disk, and with a strict Content-Security-Policy.
"""

from pgce_mini.site.model.assets import fragment, write_model_page_assets

__all__ = ["fragment", "write_model_page_assets"]
