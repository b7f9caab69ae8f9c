def check(commit, good):
    raise NotImplementedError
