"""The ground floor: what every theory stands on; it imports nothing of ours and is not a stable API.

- `records`: results and parameters as pytrees that can be exported;
- `types`: arrays, numbers and random keys in signatures;
- `dtypes`: in which dtype computation is done, and in which results are returned;
- `checks`: what an argument must be, with one wording for each kind of error;
- `linalg`: the linear algebra that more than one theory needs;
- `roots`: the square root that has a derivative at zero;
- `trees`: parameters as pytrees of real arrays, and their inner products;
- `transformer`: what steps of scikit-learn's pipelines share, which alone imports scikit-learn.
"""
