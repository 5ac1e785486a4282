"""What a served model makes of a table, without MLflow's server."""

import pandas as pd
import pytest


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")
def test_a_domain_is_looked_up_as_it_was_trained() -> None:
    from tasks.promote.served import Served

    served = Served()
    served.domain = "site"
    table = pd.DataFrame({"site": [" north", "south ", "", None], "text": ["a", "b", "c", "d"]})
    assert served._told(table) == {"domain": ["north", "south", "", ""]}
    assert served._told(table[["text"]]) == {}
    served.domain = ""
    assert served._told(table) == {}
