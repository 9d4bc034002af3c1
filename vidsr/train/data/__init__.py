"""Reading shards, and drawing training patches and crops from them."""
