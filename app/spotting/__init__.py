"""When did something move: regional motion and the micro-expression spotter."""
